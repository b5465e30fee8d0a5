"""Sinkhorn matching of key points; leaves the loop when the marginals agree."""
import torch
from torch import nn
import graphfix


class SinkhornMatcher(nn.Module):
    def __init__(self, dim=8, iters=8, eps=0.3, thresh=1e-2):
        super().__init__()
        self.proj = nn.Linear(dim, dim, bias=False)
        self.iters, self.eps, self.thresh = iters, eps, thresh

    def forward(self, a, b):
        scores = self.proj(a) @ self.proj(b).t() / self.eps
        u, v = self._duals(scores)
        return (scores + u[:, None] + v[None]).exp()

    def _duals(self, scores):
        u = torch.zeros(scores.size(0))
        v = torch.zeros(scores.size(1))
        for i in range(self.iters):
            u_prev = u
            u = -torch.logsumexp(scores + v[None], dim=1)
            if i % 2 == 1 and (u - u_prev).abs().mean() < self.thresh:
                break
            if (scores + v[None]).max() < 0:
                continue    # nothing can match yet, columns stay put
            v = -torch.logsumexp(scores + u[:, None], dim=0)
        return u, v


@graphfix.target
def sinkhorn():
    torch.manual_seed(1)
    m = SinkhornMatcher().eval().requires_grad_(False)
    yield graphfix.Call(m, torch.randn(5, 8), torch.randn(5, 8))
    yield graphfix.Call(m, 0.01 * torch.randn(4, 8), 0.01 * torch.randn(4, 8))
    x = torch.randn(1, 8).expand(3, 8)
    yield graphfix.Call(m, x, b=-x)
