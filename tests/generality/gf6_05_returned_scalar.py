"""A step returns a Python number beside its tensor: only capture_scalar_outputs leaves the graph whole."""
import torch
from torch import nn

import graphfix


class Step(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(3, 3)

    def forward(self, x):
        y = self.lin(x)
        return y, y.detach().norm().item()


@graphfix.target
def step():
    s = Step().requires_grad_(False)
    yield graphfix.Call(s, torch.randn(2, 3))
    yield graphfix.Call(s, torch.randn(4, 3))
