"""Loss scaling: a chained comparison, and a multiplication in place on one way only."""
import torch
from torch import nn

import graphfix


class GuardedLoss(nn.Module):
    def __init__(self, ceiling: float = 10.0):
        super().__init__()
        self.ceiling = ceiling
        self.register_buffer("scale", torch.tensor(4.0))

    def forward(self, pred: torch.Tensor, gold: torch.Tensor) -> torch.Tensor:
        loss = (pred - gold).square().mean()
        if 0.0 < loss <= self.ceiling:
            loss = loss * self.scale
        return loss


@graphfix.target
def guarded():
    m = GuardedLoss()
    yield graphfix.Call(m, torch.ones(3), torch.zeros(3))
    yield graphfix.Call(m, torch.full((4,), 100.0), gold=torch.zeros(4))
