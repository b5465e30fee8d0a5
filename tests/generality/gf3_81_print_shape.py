"""A forward that someone left a print in."""
import torch
from torch import nn

import graphfix


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        h = self.fc(x)
        print("hidden", h.shape, h.mean())
        return h.relu()


@graphfix.target
def print_shape():
    torch.manual_seed(0)
    enc = Encoder().eval().requires_grad_(False)
    yield graphfix.Call(enc, torch.randn(2, 4))
    yield graphfix.Call(enc, torch.randn(5, 4))
