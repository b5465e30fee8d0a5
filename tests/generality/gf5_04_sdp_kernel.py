"""Attention under the deprecated backend chooser, with keywords."""
import torch
import torch.nn.functional as F
from torch import nn
from torch.backends.cuda import sdp_kernel

import graphfix


class Attention(nn.Module):
    def __init__(self, dim: int = 8, heads: int = 2):
        super().__init__()
        self.qkv = nn.Linear(dim, dim * 3, bias=False)
        self.heads = heads

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.qkv(x).chunk(3, dim=-1)
        )
        with sdp_kernel(enable_flash=False, enable_math=True, enable_mem_efficient=False):
            out = F.scaled_dot_product_attention(q, k, v)
        return out.transpose(1, 2).flatten(2)


@graphfix.target
def attention():
    m = Attention().requires_grad_(False)
    yield graphfix.Call(m, torch.randn(2, 3, 8))
    yield graphfix.Call(m, torch.randn(1, 5, 8))
