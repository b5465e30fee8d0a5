"""Cross-attention block with defensive checks around its padding mask.

The checks come from a retrieval model in which a query may have no passages
at all; softmax over nothing gave NaN, so somebody added guards.
"""
from typing import Iterator, Optional

import torch
import torch.nn as nn
import torch.nn.functional as F

import graphfix


class GuardedCrossAttention(nn.Module):
    def __init__(self, dim: int = 16, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (dim // heads) ** -0.5
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.out = nn.Linear(dim, dim)

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        b, n, d = x.shape
        return x.view(b, n, self.heads, d // self.heads).transpose(1, 2)

    def forward(self, x: torch.Tensor, context: torch.Tensor,
                key_padding_mask: Optional[torch.Tensor] = None) -> torch.Tensor:
        """``key_padding_mask``: True marks a padded passage position."""
        if not torch.isfinite(context).all():
            raise ValueError("context has NaN or inf in it")
        # fast path: nothing is padded
        if key_padding_mask is not None and not key_padding_mask.any():
            key_padding_mask = None
        elif key_padding_mask is not None and key_padding_mask.all():
            return x

        q = self._split(self.q(x)) * self.scale
        k, v = (self._split(t) for t in self.kv(context).chunk(2, dim=-1))
        attn = q @ k.transpose(-1, -2)
        if key_padding_mask is not None:
            attn = attn.masked_fill(key_padding_mask[:, None, None, :], torch.finfo(attn.dtype).min)
        attn = attn.softmax(-1)
        y = (attn @ v).transpose(1, 2).flatten(2)
        return x + self.out(y)


class Reader(nn.Module):
    def __init__(self, dim: int = 16, layers: int = 2):
        super().__init__()
        self.blocks = nn.ModuleList(GuardedCrossAttention(dim) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)

    def forward(self, x, context, mask=None):
        assert x.abs().max() < 1e3, "queries are not normalised"
        for blk in self.blocks:
            x = blk(x, F.layer_norm(context, context.shape[-1:]), key_padding_mask=mask)
        return self.norm(x)


@graphfix.target
def guarded_reader() -> Iterator[graphfix.Call]:
    """Some padding, no padding, all padding, no mask."""
    torch.manual_seed(0)
    model = Reader().eval().requires_grad_(False)
    x, ctx = torch.randn(2, 3, 16), torch.randn(2, 5, 16)
    part = torch.arange(5)[None] >= torch.tensor([[3], [5]])
    yield graphfix.Call(model, x, ctx, mask=part)
    yield graphfix.Call(model, x, ctx, mask=torch.zeros(2, 5, dtype=torch.bool))
    yield graphfix.Call(model, x, ctx, mask=torch.ones(2, 5, dtype=torch.bool))
    yield graphfix.Call(model, x, ctx)
