"""Leading PageRank vector of a small graph, iterated until it stops moving."""
import torch

import graphfix


def normalize_adj(adj: torch.Tensor, damping: float) -> torch.Tensor:
    n = adj.shape[0]
    deg = adj.sum(0, keepdim=True)
    p = torch.where(deg > 0, adj / deg.clamp(min=1), torch.full_like(adj, 1.0 / n))
    return damping * p + (1 - damping) / n


def pagerank(adj, damping=0.85, tol=1e-4, max_iter=60):
    m = normalize_adj(adj, damping)
    return _iterate(m, tol, max_iter) * adj.shape[0]


def _iterate(m, tol, max_iter):
    r = torch.full(m.shape[:1], 1.0 / m.shape[0])
    delta = torch.tensor(float("inf"))
    it = 0
    while delta > tol and it < max_iter:
        nxt = m @ r
        delta = (nxt - r).abs().sum()
        r = nxt
        it += 1
    return r / r.sum()


@graphfix.target
def pagerank_target():
    torch.manual_seed(14)
    yield graphfix.Call(pagerank, (torch.rand(6, 6) > 0.6).float())
    yield graphfix.Call(pagerank, (torch.rand(9, 9) > 0.5).float(), max_iter=2)
    # ring: the uniform vector is already the answer
    yield graphfix.Call(pagerank, torch.roll(torch.eye(5), 1, 0), max_iter=3)
