"""Momentum teacher: a running state is deep-copied before it is changed."""
import copy

import torch

import graphfix


class Ema:
    def __init__(self, decay: float = 0.9):
        self.decay = decay

    def blend(self, shadow: torch.Tensor, live: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        before = copy.deepcopy(shadow)
        shadow.mul_(self.decay).add_(live, alpha=1 - self.decay)
        return before, shadow


@graphfix.target
def ema():
    e = Ema()
    yield graphfix.Call(e.blend, torch.randn(3), live=torch.randn(3))
    yield graphfix.Call(e.blend, torch.randn(2, 4), live=torch.randn(2, 4))
