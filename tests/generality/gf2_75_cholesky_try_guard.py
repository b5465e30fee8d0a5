"""Whitening; a guard raises on a bad covariance and the caller falls back."""
import torch
from torch import nn, Tensor

import graphfix


class IllConditioned(RuntimeError):
    pass


def check_spd(cov: Tensor, floor: float = 1e-3) -> None:
    if not torch.allclose(cov, cov.T, atol=1e-5):
        raise ValueError("covariance is not symmetric")
    if torch.linalg.eigvalsh(cov)[0] < floor:
        raise IllConditioned("smallest eigenvalue below floor")


class Whiten(nn.Module):
    def __init__(self, dim: int, jitter: float = 0.1):
        super().__init__()
        self.jitter = jitter
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(0, keepdim=True)
        cov = centred.T @ centred / max(x.shape[0] - 1, 1)
        try:
            check_spd(cov)
            chol = torch.linalg.cholesky(cov)
        except IllConditioned:
            chol = torch.linalg.cholesky(cov + self.jitter * torch.eye(cov.shape[0]))
        z = torch.linalg.solve_triangular(chol, centred.T, upper=False).T
        return self.out(z)


@graphfix.target
def whiten():
    torch.manual_seed(9)
    w = Whiten(4).eval().requires_grad_(False)
    yield graphfix.Call(w, torch.randn(32, 4))
    yield graphfix.Call(w, torch.randn(12, 1).expand(12, 4).contiguous())
