"""An alias of print made with functools.partial at the top of the file, called in two methods."""
import functools
import sys

import torch
from torch import nn

import graphfix

say = functools.partial(print, file=sys.stderr, flush=True)


class Upsampler(nn.Module):
    def __init__(self, factor: int = 2):
        super().__init__()
        self.factor = factor

    def widen(self, x: torch.Tensor) -> torch.Tensor:
        say(f"widening {tuple(x.shape)} by {self.factor}")
        return x.repeat_interleave(self.factor, dim=-1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = self.widen(x=x)
        if wide.shape[-1] > 4:
            say("wide now:", wide.shape[-1],
                end="!\n")
        return wide.roll(1, -1)


@graphfix.target
def upsample():
    yield graphfix.Call(Upsampler(), torch.randn(2, 3))
    yield graphfix.Call(Upsampler(factor=3), torch.randn(1, 5))
