"""Two clocks around a submodule; what they say goes to a log."""
import logging
import time

import torch
from torch import nn

import graphfix

_log = logging.getLogger(__name__)


class TimedEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(5, 5)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        began = time.perf_counter()
        out = self.stem(frames).softmax(-1)
        took = time.perf_counter() - began
        _log.info(f"stem took {took * 1e3:.1f} ms")
        return out


@graphfix.target
def timed():
    m = TimedEncoder().requires_grad_(False)
    yield graphfix.Call(m, torch.randn(2, 5))
    yield graphfix.Call(m, torch.randn(3, 5))
