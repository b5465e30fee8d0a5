"""Padding is taken out before a feed-forward and put back after it."""
import torch
from torch import nn

import graphfix


class Unpadded(nn.Module):
    def __init__(self, d: int = 4):
        super().__init__()
        self.ff = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))

    def forward(self, hidden: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        real = attention_mask.bool()
        packed = self.ff(hidden[real])
        out = torch.zeros_like(hidden)
        out[real] = packed
        return out


@graphfix.target
def unpadded():
    m = Unpadded().requires_grad_(False)
    yield graphfix.Call(m, torch.randn(2, 3, 4), attention_mask=torch.tensor([[1, 1, 0], [1, 0, 0]]))
    yield graphfix.Call(m, torch.randn(1, 5, 4), attention_mask=torch.tensor([[1, 1, 1, 1, 0]]))
