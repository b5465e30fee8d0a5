"""Adapter: a method leaves early where nothing is marked."""
import torch
from torch import nn

import graphfix


class Adapter(nn.Module):
    def __init__(self, width: int = 6, bottleneck: int = 2):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(width, bottleneck), nn.GELU(), nn.Linear(bottleneck, width))

    def adapt(self, tokens: torch.Tensor, marks: torch.Tensor):
        if marks.sum() == 0:
            return tokens

        delta = self.inner(tokens)
        return tokens + delta * marks.unsqueeze(-1)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(6)
        self.adapter = Adapter()

    def forward(self, tokens, marks):
        return self.norm(self.adapter.adapt(tokens, marks=marks))


@graphfix.target
def layer():
    m = Layer().requires_grad_(False)
    yield graphfix.Call(m, torch.randn(2, 4, 6), marks=torch.tensor([[1., 0., 1., 0.], [0., 0., 0., 1.]]))
    yield graphfix.Call(m, torch.randn(1, 3, 6), marks=torch.zeros(1, 3))
