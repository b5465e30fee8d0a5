"""Sinkhorn matching between two point clouds that stops at convergence."""
from typing import Iterator, NamedTuple

import torch
from torch import nn

import graphfix


class MatchResult(NamedTuple):
    plan: torch.Tensor
    cost: torch.Tensor


def pairwise_cost(x: torch.Tensor, y: torch.Tensor, p: int = 2) -> torch.Tensor:
    return torch.sum(torch.abs(x.unsqueeze(-2) - y.unsqueeze(-3)) ** p, -1)


class SinkhornDistance(nn.Module):
    r"""
    Given two empirical measures, computes an approximation of the regularised OT cost.

    Args:
        eps (float): regularisation coefficient
        max_iter (int): maximum number of iterations
    """

    def __init__(self, eps: float = 0.1, max_iter: int = 30, thresh: float = 1e-2):
        super(SinkhornDistance, self).__init__()
        self.eps = eps
        self.max_iter = max_iter
        self.thresh = thresh

    def M(self, C, u, v):
        "Modified cost for logarithmic updates"
        return (-C + u.unsqueeze(-1) + v.unsqueeze(-2)) / self.eps

    def forward(self, x, y) -> MatchResult:
        C = pairwise_cost(x, y)
        n, m = x.shape[-2], y.shape[-2]
        batch = 1 if x.dim() == 2 else x.shape[0]

        mu = torch.full((batch, n), 1.0 / n)
        nu = torch.full((batch, m), 1.0 / m)
        u = torch.zeros_like(mu)
        v = torch.zeros_like(nu)

        # Sinkhorn iterations
        for i in range(self.max_iter):
            u1 = u  # useful to check the update
            u = self.eps * (torch.log(mu + 1e-8) - torch.logsumexp(self.M(C, u, v), dim=-1)) + u
            v = self.eps * (torch.log(nu + 1e-8) - torch.logsumexp(self.M(C, u, v).transpose(-2, -1), dim=-1)) + v
            err = (u - u1).abs().sum(-1).mean()
            if err.item() < self.thresh:
                break

        pi = torch.exp(self.M(C, u, v))
        cost = torch.sum(pi * C, dim=(-2, -1))
        return MatchResult(pi, cost)


class PointMatcher(nn.Module):
    def __init__(self, dim: int = 3, feat: int = 4):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(dim, 8), nn.ReLU(), nn.Linear(8, feat))
        self.ot = SinkhornDistance()

    def forward(self, src, tgt):
        result = self.ot(self.encoder(src), self.encoder(tgt))
        weights = result.plan / result.plan.sum(-1, keepdim=True).clamp(min=1e-6)
        return weights @ tgt - src, result.cost


@graphfix.target
def sinkhorn_early_stop() -> Iterator[graphfix.Call]:
    """Near copies, and clouds of two sizes."""
    torch.manual_seed(0)
    model = PointMatcher().eval()
    pts = torch.randn(2, 7, 3)
    yield graphfix.Call(model, pts, pts + 0.01 * torch.randn(2, 7, 3))
    yield graphfix.Call(model, torch.randn(1, 5, 3), 3 * torch.randn(1, 9, 3))
