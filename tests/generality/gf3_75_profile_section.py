"""GCN encoder whose layers sit in a home-made profiling context manager."""
import sys
import time
from contextlib import contextmanager

import torch
from torch import nn, Tensor

import graphfix

REPORT: dict[str, float] = {}


@contextmanager
def section(name: str, verbose: bool = True):
    start = time.monotonic()
    try:
        yield
    finally:
        spent = time.monotonic() - start
        REPORT[name] = REPORT.get(name, 0.0) + spent
        if verbose:
            print(f"[prof] {name}: {spent * 1e3:.2f} ms", file=sys.stderr)


class GCNLayer(nn.Linear):
    def forward(self, x: Tensor, adj: Tensor) -> Tensor:
        return adj @ super().forward(x)


def sym_normalise(adj: Tensor) -> Tensor:
    adj = adj + torch.eye(adj.size(0))
    inv = adj.sum(-1).rsqrt()
    return inv[:, None] * adj * inv[None, :]


class GCN(nn.Module):
    def __init__(self, dims: tuple[int, ...] = (6, 12, 4)):
        super().__init__()
        self.layers = nn.ModuleList([GCNLayer(i, o) for i, o in zip(dims[:-1], dims[1:])])

    def forward(self, x: Tensor, adj: Tensor) -> Tensor:
        with section("normalise", verbose=False):
            adj = sym_normalise(adj)
        for i, layer in enumerate(self.layers):
            with section(f"gcn{i}"):
                x = layer(x if i == 0 else x.relu(), adj)
        return x


@graphfix.target
def gcn():
    torch.manual_seed(33)
    net = GCN().eval().requires_grad_(False)
    for n in (5, 8):
        a = (torch.rand(n, n) > 0.5).float()
        yield graphfix.Call(net, torch.randn(n, 6), adj=torch.maximum(a, a.T))
