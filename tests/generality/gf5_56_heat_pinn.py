"""A physics-informed network that takes derivatives of its inputs in forward."""
from __future__ import annotations

import random
from functools import partial
from typing import Iterator, List, Optional

import torch
import torch.nn as nn

import graphfix


class FourierFeatures(nn.Module):
    def __init__(self, in_dim: int, n: int = 4, sigma: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("B", torch.randn(in_dim, n) * sigma)

    def forward(self, x):
        p = x @ self.B
        return torch.cat([p.sin(), p.cos()], -1)


class ResLayer(nn.Module):
    def __init__(self, dim, act=torch.tanh):
        super().__init__()
        self.lin = nn.Linear(dim, dim)
        self.act = act

    def forward(self, x):
        return x + self.act(self.lin(x))


def derivative(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """dy/dx, kept in the graph"""
    return torch.autograd.grad(y, x, torch.ones_like(y), create_graph=True)[0]


class HeatPINN(nn.Module):
    """u(t, x) and the residual of u_t = kappa * u_xx."""

    def __init__(self, depth: int = 3, dim: int = 8, kappa: float = 0.1, layer_drop: float = 0.0):
        super().__init__()
        make = partial(ResLayer, dim, act=torch.tanh)
        self.features = FourierFeatures(2, dim // 2)
        self.layers = nn.ModuleList(make() for _ in range(depth))
        self.out = nn.Linear(dim, 1)
        self.kappa = kappa
        self.layer_drop = layer_drop

    def u(self, t, x):
        h = self.features(torch.cat([t, x], dim=-1))
        for layer in self.layers:
            # LayerDrop (see https://arxiv.org/abs/1909.11556)
            if self.layer_drop > 0 and random.uniform(0, 1) < self.layer_drop:
                continue
            h = layer(h)
        return self.out(h)

    def forward(self, t: torch.Tensor, x: torch.Tensor, weights: Optional[List[float]] = None):
        t.requires_grad_(True)
        x.requires_grad_(True)
        u = self.u(t, x)
        u_t = derivative(u, t)
        u_xx = derivative(derivative(u, x), x)
        residual = u_t - self.kappa * u_xx
        if weights:
            residual = residual * torch.tensor(weights).unsqueeze(-1)
        return u.detach(), residual.detach()


@graphfix.target
def heat_pinn() -> Iterator[graphfix.Call]:
    """All layers, then weighted points."""
    torch.manual_seed(0)
    net = HeatPINN().eval()
    yield graphfix.Call(net, torch.rand(6, 1), torch.rand(6, 1))
    yield graphfix.Call(net, torch.rand(3, 1), torch.rand(3, 1), weights=[1.0, 0.5, 2.0])
