"""Detector neck: every stage runs under a small perf_counter context manager."""
import time
from collections import defaultdict
from contextlib import contextmanager

import torch
import torch.nn as nn
import torch.nn.functional as F

from graphfix import Call, target

TIMES = defaultdict(list)


@contextmanager
def timed(name: str):
    t0 = time.perf_counter()
    yield
    TIMES[name].append(time.perf_counter() - t0)


class FPN(nn.Module):
    def __init__(self, chans=(4, 8), out=6):
        super().__init__()
        self.lateral = nn.ModuleList([nn.Conv2d(c, out, 1) for c in chans])
        self.smooth = nn.Conv2d(out, out, 3, padding=1)

    def forward(self, c3, c4):
        with timed("lateral"):
            p3, p4 = self.lateral[0](c3), self.lateral[1](c4)
        with timed("topdown"):
            p3 = p3 + F.interpolate(p4, size=p3.shape[-2:], mode="nearest")
        return self.smooth(p3), p4


@target
def neck():
    torch.manual_seed(12)
    fpn = FPN().requires_grad_(False)
    yield Call(fpn, torch.randn(1, 4, 6, 6), torch.randn(1, 8, 3, 3))
    yield Call(fpn, c3=torch.randn(2, 4, 4, 8), c4=torch.randn(2, 8, 2, 4))
