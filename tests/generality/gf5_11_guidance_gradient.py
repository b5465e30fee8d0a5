"""Classifier guidance: the gradient of a score is taken inside the forward by backward().

Nobody can repair this: the compiled region would have to hold its own backward pass, filling `.grad` of its input.
"""
import torch
from torch import nn

import graphfix


class Guided(nn.Module):
    def __init__(self):
        super().__init__()
        self.score = nn.Linear(4, 1)

    def forward(self, x: torch.Tensor, scale: float = 0.5) -> torch.Tensor:
        leaf = x.detach().clone().requires_grad_(True)
        self.score(leaf).tanh().sum().backward()
        return x + scale * leaf.grad


@graphfix.target
def guided():
    m = Guided()
    m.score.requires_grad_(False)
    yield graphfix.Call(m, torch.randn(2, 4))
    yield graphfix.Call(m, torch.randn(3, 4), scale=1.0)
