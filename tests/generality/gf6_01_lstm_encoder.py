"""A bidirectional LSTM inside an encoder. The setting allow_rnn takes it in; source can only write the cell out."""
import torch
from torch import nn

import graphfix


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(3, 4, batch_first=True, bidirectional=True)
        self.out = nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states, _ = self.rnn(x.tanh())
        return self.out(states)


@graphfix.target
def encode():
    m = Encoder().requires_grad_(False)
    yield graphfix.Call(m, torch.randn(2, 5, 3))
    yield graphfix.Call(m, torch.randn(1, 7, 3))
