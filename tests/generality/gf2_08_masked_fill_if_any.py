"""Attention: `and`, `not` and two reductions guard an in-place fill."""
import torch
import torch.nn.functional as F

import graphfix


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, blocked: torch.Tensor, causal: bool = False):
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    if causal:
        scores = scores + torch.full(scores.shape[-2:], -1e4).triu(1)
    if blocked.any() and not blocked.all():
        # only where someone is left to look at
        scores.masked_fill_(blocked, float("-inf"))
    return F.softmax(scores, dim=-1) @ v


@graphfix.target
def attention():
    def args(b, t):
        return torch.randn(b, t, 4), torch.randn(b, t, 4), torch.randn(b, t, 4)
    yield graphfix.Call(attend, *args(2, 3), blocked=torch.tensor([False, True, False]))
    yield graphfix.Call(attend, *args(1, 5), blocked=torch.zeros(5, dtype=torch.bool), causal=True)
    yield graphfix.Call(attend, *args(1, 2), blocked=torch.ones(2, dtype=torch.bool))
