"""Diffusion cross-attention: the deprecated sdp_kernel context; a CFG-drop draw that only training uses."""
import random

import torch
from torch import nn
import torch.nn.functional as F
import graphfix


class CrossAttention(nn.Module):
    sdp_kwargs = dict(enable_flash=False, enable_math=True, enable_mem_efficient=False)

    def __init__(self, d=8, heads=2, p_uncond=0.1):
        super().__init__()
        self.heads, self.p_uncond = heads, p_uncond
        self.to_q = nn.Linear(d, d, bias=False)
        self.to_kv = nn.Linear(d, 2 * d, bias=False)
        self.null_ctx = nn.Parameter(torch.zeros(1, 1, d))

    def _split(self, t):
        b, n, _ = t.shape
        return t.view(b, n, self.heads, -1).transpose(1, 2)

    def forward(self, x, context):
        drop = random.random() < self.p_uncond
        if self.training and drop:
            context = self.null_ctx.expand_as(context)
        q, (k, v) = self.to_q(x), self.to_kv(context).chunk(2, -1)
        with torch.backends.cuda.sdp_kernel(**self.sdp_kwargs):
            o = F.scaled_dot_product_attention(self._split(q), self._split(k), self._split(v))
        return o.transpose(1, 2).reshape(x.shape)


@graphfix.target
def cross():
    torch.manual_seed(25)
    attn = CrossAttention().eval().requires_grad_(False)
    yield graphfix.Call(attn, torch.randn(2, 4, 8), torch.randn(2, 3, 8))
    yield graphfix.Call(attn, x=torch.randn(1, 1, 8), context=torch.randn(1, 6, 8))
