"""Unigram features: one_hot with the width left to the data, then a histogram."""
import torch
import torch.nn.functional as F
from torch import nn

import graphfix


class BagOfBytes(nn.Module):
    def __init__(self, max_symbols=16, dim=6):
        super().__init__()
        self.table = nn.Parameter(torch.randn(max_symbols, dim))

    def forward(self, ids, weights=None):
        ids = ids.clamp(max=self.table.size(0) - 1)
        hot = F.one_hot(ids).to(self.table.dtype)          # (B, T, n_seen)
        if weights is not None:
            hot = hot * weights.unsqueeze(-1)
        counts = hot.sum(dim=1)
        emb = counts @ self.table[: counts.size(-1)]
        return emb / counts.sum(-1, keepdim=True).clamp(min=1e-6)


@graphfix.target
def bag_of_bytes():
    torch.manual_seed(61)
    m = BagOfBytes().eval().requires_grad_(False)
    yield graphfix.Call(m, torch.randint(0, 9, (2, 7)))
    yield graphfix.Call(m, torch.randint(0, 16, (3, 5)), weights=torch.rand(3, 5))
