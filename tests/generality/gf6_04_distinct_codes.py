"""The distinct codes of a frame and how often each occurs."""
import torch

import graphfix


def codebook_usage(codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    shifted = codes + 1
    values, counts = torch.unique(shifted, return_counts=True)
    return values - 1, counts


@graphfix.target
def usage():
    yield graphfix.Call(codebook_usage, torch.tensor([3, 1, 3, 0]))
    yield graphfix.Call(codebook_usage, torch.tensor([5, 5, 5, 5, 2, 9]))
