"""Detection: the foreground scores are selected and counted in one chained expression."""
import torch

import graphfix


class FocalTerm:
    def __init__(self, gamma: float = 2.0):
        self.gamma = gamma

    def positives(self, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return (
            scores.sigmoid()
            .masked_select(labels > 0)   # foreground
            .sub(1.0)
            .abs()
            .pow(self.gamma)
            .sum()
        )


@graphfix.target
def focal():
    term = FocalTerm()
    yield graphfix.Call(term.positives, torch.randn(3, 4), torch.randint(0, 2, (3, 4)))
    yield graphfix.Call(term.positives, scores=torch.randn(7), labels=torch.tensor([1, 0, 0, 1, 1, 0, 1]))
