"""Every second call says something; the counter must go on counting."""
import torch
from torch import nn

import graphfix


class Watcher(nn.Module):
    def __init__(self, every: int = 1):
        super().__init__()
        self.every = every
        self.seen = 0

    def forward(self, grads: torch.Tensor) -> torch.Tensor:
        self.seen += 1
        norm = grads.norm()
        if self.seen % self.every == 0: print("call", self.seen, "norm", norm)
        return grads / (norm + 1e-6)


@graphfix.target
def watch():
    yield graphfix.Call(Watcher(), torch.randn(5))
    yield graphfix.Call(Watcher(every=2), torch.randn(2, 3))
