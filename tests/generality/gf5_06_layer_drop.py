"""Layer drop: a random number that only training needs is drawn in every pass."""
import random

import torch
from torch import nn

import graphfix


class Stack(nn.Module):
    def __init__(self, depth: int = 2, layerdrop: float = 0.1):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(4, 4) for _ in range(depth)])
        self.layerdrop = layerdrop

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            skip_probability = random.random()
            if self.training and skip_probability < self.layerdrop:
                continue
            h = h + block(h).relu()
        return h


@graphfix.target
def stack():
    m = Stack().requires_grad_(False).eval()
    yield graphfix.Call(m, torch.randn(2, 4))
    yield graphfix.Call(m, torch.randn(5, 4))
