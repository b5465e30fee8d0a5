"""Residual block with the half-precision clamp many checkpoints still carry."""
import torch
from torch import nn, Tensor

import graphfix


def clamp_if_needed(h: Tensor, where: str = "ffn") -> Tensor:
    # clamp inf values so that the next layer norm does not give nan
    if torch.isinf(h).any():
        limit = torch.finfo(torch.float16).max - 1000
        h = torch.clamp(h, min=-limit, max=limit)
    if where == "ffn" and torch.isnan(h).any():
        h = torch.nan_to_num(h, nan=0.0)
    return h


class Block(nn.Module):
    def __init__(self, d: int = 8):
        super().__init__()
        self.wi = nn.Linear(d, 2 * d)
        self.wo = nn.Linear(2 * d, d)
        self.alpha = 0.125

    def forward(self, x: Tensor, gain: Tensor) -> Tensor:
        x = clamp_if_needed(x * gain, where="attn")
        y = self.wo(torch.relu(self.wi(x)))
        return clamp_if_needed(x * self.alpha + y)


@graphfix.target
def ffn_block():
    torch.manual_seed(6)
    blk = Block().eval().requires_grad_(False)
    yield graphfix.Call(blk, torch.randn(2, 3, 8), torch.ones(8))
    huge = torch.randn(1, 4, 8)
    huge[0, 1, 2] = float("inf")
    yield graphfix.Call(blk, huge, gain=torch.ones(8))
    bad = torch.randn(2, 2, 8)
    bad[1, 0, 5] = float("nan")
    yield graphfix.Call(blk, bad, gain=torch.full((8,), 0.5))
