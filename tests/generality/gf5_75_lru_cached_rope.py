"""Rotary embedding whose table comes from an lru_cache, weights tied through .data."""
from functools import lru_cache, partial

import torch
from torch import nn

import graphfix


@lru_cache(maxsize=8)
def rope_table(n: int, dim: int, base: float = 10000.0):
    inv = 1.0 / base ** (torch.arange(0, dim, 2).float() / dim)
    ang = torch.outer(torch.arange(n).float(), inv)
    return ang.cos(), ang.sin()


def rotate(x, cos, sin, interleaved=False):
    a, b = (x[..., ::2], x[..., 1::2]) if interleaved else x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


class RopeLM(nn.Module):
    def __init__(self, vocab=20, dim=8):
        super().__init__()
        self.emb = nn.Embedding(vocab, dim)
        self.head = nn.Linear(dim, vocab, bias=False)
        self.rot = partial(rotate, interleaved=True)

    def forward(self, ids):
        x = self.emb(ids)
        # someone reloads emb now and then; keep the head tied
        self.head.weight = nn.Parameter(self.emb.weight.data, requires_grad=False)
        cos, sin = rope_table(ids.size(1), x.size(-1))
        att = (self.rot(x, cos, sin) @ self.rot(x, cos=cos, sin=sin).mT).softmax(-1)
        return self.head(att @ x)


@graphfix.target
def rope_lm():
    torch.manual_seed(89)
    lm = RopeLM().eval().requires_grad_(False)
    yield graphfix.Call(lm, torch.randint(0, 20, (2, 6)))
    yield graphfix.Call(lm, torch.randint(0, 20, (1, 9)))
