"""Residual block with the familiar overflow guard."""
import torch
from torch import nn

import graphfix


class GuardedBlock(nn.Module):
    def __init__(self, dim=6):
        super().__init__()
        self.gain = nn.Parameter(torch.rand(dim) + 0.5)

    def forward(self, x):
        h = x + self.gain * torch.exp(x)
        if torch.isinf(h).any() or torch.isnan(h).any():
            limit = torch.finfo(h.dtype).max - 1000
            h = torch.clamp(h, min=-limit, max=limit)
        return h


@graphfix.target
def inf_guard_block():
    torch.manual_seed(2)
    m = GuardedBlock().eval().requires_grad_(False)
    yield graphfix.Call(m, torch.randn(3, 6))
    yield graphfix.Call(m, torch.randn(2, 6) * 200)
