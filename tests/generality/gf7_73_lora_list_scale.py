"""LoRA mixing: a list of adapters of varying length, each with a float weight."""
from typing import Sequence

import torch
from torch import nn

import graphfix


class LoRALinear(nn.Module):
    def __init__(self, d_in=6, d_out=5, rank=2, names=("style", "pose", "light")):
        super().__init__()
        self.base = nn.Linear(d_in, d_out)
        self.down = nn.ModuleDict({n: nn.Linear(d_in, rank, bias=False) for n in names})
        self.up = nn.ModuleDict({n: nn.Linear(rank, d_out, bias=False) for n in names})

    def forward(self, x, adapters: Sequence[str] = (), weights: dict[str, float] | None = None,
                guidance: float = 1.0):
        y = self.base(x)
        weights = weights or {}
        delta = sum((weights.get(n, 1.0) * self.up[n](self.down[n](x)) for n in adapters), 0.0)
        return y + guidance * delta


@graphfix.target
def lora_mix():
    torch.manual_seed(101)
    m = LoRALinear().eval().requires_grad_(False)
    x = torch.randn(3, 6)
    yield graphfix.Call(m, x, ["style"], {"style": 0.8})
    yield graphfix.Call(m, x, adapters=["pose", "light"], weights={"pose": 0.25, "light": 0.5}, guidance=7.5)
    yield graphfix.Call(m, -x, ["style", "pose", "light"], weights={}, guidance=3.0)
