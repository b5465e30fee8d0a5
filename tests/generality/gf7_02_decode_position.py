"""A decoding step that is told its position as an int."""
import torch
from torch import nn

import graphfix


class DecodeStep(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("table", torch.randn(16, 4))

    def forward(self, token: torch.Tensor, *, position: int) -> torch.Tensor:
        return (token + self.table[position]).softmax(-1)


@graphfix.target
def decode():
    m = DecodeStep()
    for p in (0, 1, 2, 5):
        yield graphfix.Call(m, torch.randn(2, 4), position=p)
