"""A running mean whose decay warms up with the number of updates, a Python int kept on the module."""
import torch
from torch import nn

import graphfix


class WarmupEMA(nn.Module):
    num_updates: int

    def __init__(self, width: int, max_decay: float = 0.9):
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.max_decay = max_decay
        self.num_updates = 0

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        self.num_updates += 1
        decay = min(self.max_decay, (1 + self.num_updates) / (10 + self.num_updates))
        self.mean.mul_(decay).add_(batch.mean(dim=0), alpha=1 - decay)
        return batch - self.mean


@graphfix.target
def center():
    torch.manual_seed(2)
    ema = WarmupEMA(3).eval().requires_grad_(False)
    for _ in range(5):
        yield graphfix.Call(ema, torch.randn(4, 3))
