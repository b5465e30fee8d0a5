"""Interatomic potential: forces from autograd, with requires_grad_ in forward."""
import inspect

import torch
from torch import nn

import graphfix


def filter_kwargs(fn, kwargs):
    names = inspect.signature(fn).parameters
    return {k: v for k, v in kwargs.items() if k in names}


class PairPotential(nn.Module):
    def __init__(self, n_rbf=6, cutoff=3.0):
        super().__init__()
        self.register_buffer("centres", torch.linspace(0.5, cutoff, n_rbf))
        self.mlp = nn.Sequential(nn.Linear(n_rbf, 12), nn.SiLU(), nn.Linear(12, 1))
        self.cutoff = cutoff

    def energy(self, pos, src, dst, smooth: bool = True):
        d = (pos[src] - pos[dst]).norm(dim=-1)
        rbf = torch.exp(-4 * (d[:, None] - self.centres) ** 2)
        e = self.mlp(rbf).squeeze(-1)
        if smooth:
            e = e * 0.5 * (torch.cos(torch.pi * d.clamp(max=self.cutoff) / self.cutoff) + 1)
        return e.sum()

    def forward(self, pos, src, dst, **kwargs):
        pos = pos - pos.mean(dim=0, keepdim=True)
        pos.requires_grad_(True)
        try:
            e = self.energy(pos, src, dst, **filter_kwargs(self.energy, kwargs))
            (grad,) = torch.autograd.grad(e, pos)
        finally:
            pos.requires_grad_(False)
        return e.detach(), -grad


@graphfix.target
def potential():
    torch.manual_seed(95)
    net = PairPotential().eval().requires_grad_(False)
    src, dst = torch.triu_indices(4, 4, 1)
    yield graphfix.Call(net, torch.randn(4, 3), src, dst, stress=False)
    src, dst = torch.triu_indices(6, 6, 1)
    yield graphfix.Call(net, 2 * torch.randn(6, 3), src=src, dst=dst, smooth=False)
