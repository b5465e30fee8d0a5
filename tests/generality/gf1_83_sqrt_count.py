"""Sum pooling over valid tokens, divided by the square root of how many there are."""
import math

import torch

import graphfix


def sqrt_n_pool(emb, mask):
    n = mask.sum().item()
    pooled = (emb * mask[:, None]).sum(0)
    return pooled / math.sqrt(n + 1e-6)


@graphfix.target
def sqrt_count():
    torch.manual_seed(2)
    yield graphfix.Call(sqrt_n_pool, torch.randn(6, 4), torch.tensor([1, 1, 1, 0, 0, 0]))
    yield graphfix.Call(sqrt_n_pool, torch.randn(9, 3), torch.ones(9, dtype=torch.long))
