"""A module counts its calls and computes with the count."""
import torch
from torch import nn

import graphfix


class Warmup(nn.Module):
    def __init__(self, steps: int = 10):
        super().__init__()
        self.steps = steps
        self.now = 0

    def forward(self, grad: torch.Tensor) -> torch.Tensor:
        self.now += 1
        return grad * min(1.0, self.now / self.steps)


@graphfix.target
def warmup():
    m = Warmup()
    for _ in range(4):
        yield graphfix.Call(m, torch.ones(3))
