"""Text batch: the width of the padding mask is the longest length, read out of the tensor of lengths."""
import torch

import graphfix


def padding_mask(lengths: torch.Tensor, *, extra: int = 0) -> torch.Tensor:
    """True where a token is real; as wide as the longest row (+ extra)."""
    longest = int(lengths.max().item())
    steps = torch.arange(longest + extra, device=lengths.device)
    return steps.unsqueeze(0) < lengths.unsqueeze(1)


@graphfix.target
def masks():
    yield graphfix.Call(padding_mask, torch.tensor([3, 5, 2]), extra=1)
    yield graphfix.Call(padding_mask, torch.tensor([4, 9, 7, 6]), extra=1)
