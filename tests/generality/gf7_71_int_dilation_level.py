"""Pyramid matching where the level, a plain int, changes from call to call."""
import torch
import torch.nn.functional as F
from torch import nn

import graphfix


class PyramidMatcher(nn.Module):
    def __init__(self, ch=4, max_level=4):
        super().__init__()
        self.smooth = nn.Conv2d(ch, ch, 3, padding=1, groups=ch)
        self.gain = nn.Parameter(torch.ones(max_level))

    def forward(self, left, right, level: int = 0):
        for _ in range(level):
            left, right = (F.avg_pool2d(self.smooth(t), 2) for t in (left, right))
        cost = (left * right).sum(1) * self.gain[level]
        return cost / (2 ** level)


@graphfix.target
def pyramid_matcher():
    torch.manual_seed(97)
    m = PyramidMatcher().eval().requires_grad_(False)
    left, right = torch.randn(1, 4, 16, 16), torch.randn(1, 4, 16, 16)
    yield graphfix.Call(m, left, right)
    yield graphfix.Call(m, left, right, level=1)
    yield graphfix.Call(m, right, left, 3)
