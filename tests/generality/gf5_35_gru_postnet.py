"""Tacotron-like encoder: a bidirectional nn.GRU inside the forward that gets compiled."""
import torch
import torch.nn as nn
from graphfix import Call, target


class Highway(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.W1 = nn.Linear(size, size)
        self.W2 = nn.Linear(size, size)

    def forward(self, x):
        g = torch.sigmoid(self.W2(x))
        return g * torch.relu(self.W1(x)) + (1. - g) * x


class CBHGTail(nn.Module):
    def __init__(self, channels=4, n_highway=2):
        super().__init__()
        self.highways = nn.ModuleList([Highway(channels) for _ in range(n_highway)])
        self.rnn = nn.GRU(channels, channels // 2, batch_first=True, bidirectional=True)

    def forward(self, x):
        # x: B x C x T
        x = x.transpose(1, 2)
        for h in self.highways: x = h(x)
        y, _ = self.rnn(x)
        return y


@target
def cbhg():
    torch.manual_seed(24)
    net = CBHGTail().eval().requires_grad_(False)
    yield Call(net, torch.randn(2, 4, 7))
    yield Call(net, torch.randn(1, 4, 3))
