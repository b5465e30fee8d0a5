"""Sinkhorn matching of two keypoint sets, iterated until the marginals settle."""

from typing import Iterator, Optional

import torch
from torch import nn

import graphfix


def log_sinkhorn(cost: torch.Tensor, eps: float = 0.1, max_iter: int = 50, tol: float = 1e-3,
                 mask: Optional[torch.Tensor] = None) -> torch.Tensor:
    """Log-domain Sinkhorn with uniform marginals.

    Args:
        cost: (n, m) cost matrix
        eps: entropic regularisation
        max_iter: upper limit for the iterations
        tol: stop as soon as the row potentials move less than this
    """
    n, m = cost.shape
    log_k = -cost / eps
    if mask is not None:
        log_k = log_k.masked_fill(~mask, -1e4)
    log_a = cost.new_full((n,), -float(torch.tensor(n).log()))
    log_b = cost.new_full((m,), -float(torch.tensor(m).log()))
    u, v = torch.zeros_like(log_a), torch.zeros_like(log_b)
    for _ in range(max_iter):
        u_prev = u
        u = log_a - torch.logsumexp(log_k + v[None, :], dim=1)
        v = log_b - torch.logsumexp(log_k + u[:, None], dim=0)
        if (u - u_prev).abs().max() < tol:
            break
    return log_k + u[:, None] + v[None, :]


class Matcher(nn.Module):
    def __init__(self, dim: int = 8, eps: float = 0.2):
        super().__init__()
        self.encoder = nn.Linear(dim, dim)
        self.eps = eps

    def forward(self, desc0: torch.Tensor, desc1: torch.Tensor):
        a = nn.functional.normalize(self.encoder(desc0), dim=-1)
        b = nn.functional.normalize(self.encoder(desc1), dim=-1)
        plan = log_sinkhorn(1 - a @ b.T, eps=self.eps).exp()
        score, match = plan.max(dim=1)
        return match, score * desc0.shape[0]


@graphfix.target
def sinkhorn_matcher() -> Iterator[graphfix.Call]:
    """Square and rectangular problems."""
    torch.manual_seed(0)
    model = Matcher().eval().requires_grad_(False)
    d = torch.randn(6, 8)
    yield graphfix.Call(model, d, d[torch.randperm(6)] + 0.01 * torch.randn(6, 8))
    yield graphfix.Call(model, torch.randn(5, 8), torch.randn(9, 8))
