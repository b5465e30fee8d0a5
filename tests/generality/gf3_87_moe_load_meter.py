"""Soft MoE layer that keeps a load meter and times its experts with a context manager."""
import time
from collections import defaultdict
from contextlib import contextmanager

import torch
from torch import nn

import graphfix


class Meter:
    seconds = defaultdict(float)
    calls = 0

    @contextmanager
    def timed(self, key):
        t0 = time.time()
        yield
        self.seconds[key] += time.time() - t0

    def tick(self, load):
        self.calls += 1
        print(f"[moe] call {self.calls}: load {[round(v, 3) for v in load.tolist()]}")


class DenseMoE(nn.Module):
    def __init__(self, dim=6, n_experts=3):
        super().__init__()
        self.gate = nn.Linear(dim, n_experts, bias=False)
        self.experts = nn.ModuleList(nn.Linear(dim, dim) for _ in range(n_experts))
        self.meter = Meter()

    def forward(self, x):
        probs = self.gate(x).softmax(-1)
        with self.meter.timed("experts"):
            ys = torch.stack([e(x) for e in self.experts], dim=-1)
        self.meter.tick(probs.flatten(0, -2).mean(0))
        return (ys * probs.unsqueeze(-2)).sum(-1)


@graphfix.target
def moe_load_meter():
    torch.manual_seed(6)
    moe = DenseMoE().eval().requires_grad_(False)
    yield graphfix.Call(moe, torch.randn(4, 6))
    yield graphfix.Call(moe, torch.randn(2, 3, 6))
