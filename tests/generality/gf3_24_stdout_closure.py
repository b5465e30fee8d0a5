"""A closure writes a dot for every layer and flushes."""
import sys

import torch
from torch import nn

import graphfix


def with_dots(layers: nn.ModuleList):
    def show(symbol: str = ".") -> None:
        sys.stdout.write(symbol)
        sys.stdout.flush()

    def forward(x: torch.Tensor) -> torch.Tensor:
        for layer in layers:
            x = layer(x).relu()
            show()
        show("\n")
        return x

    return forward


@graphfix.target
def dots():
    f = with_dots(nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 2)]).requires_grad_(False))
    yield graphfix.Call(f, torch.randn(2, 3))
    yield graphfix.Call(f, torch.randn(4, 3))
