"""Positions are made under a device context."""
import torch
from torch import nn

import graphfix


class Positional(nn.Module):
    def __init__(self, dim: int = 4):
        super().__init__()
        self.dim = dim

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.device(x.device):
            pos = torch.arange(x.shape[1], dtype=x.dtype)
            freq = torch.exp(torch.arange(0, self.dim, dtype=x.dtype) * -0.5)
        return x + (pos[:, None] * freq[None, :]).sin()


@graphfix.target
def positions():
    m = Positional()
    yield graphfix.Call(m, torch.randn(2, 3, 4))
    yield graphfix.Call(m, torch.randn(1, 6, 4))
