"""Cross attention from before torch.nn.attention: the deprecated context manager."""
import torch
import torch.nn.functional as F
from torch import nn

import graphfix

BACKENDS = dict(enable_flash=False, enable_math=True, enable_mem_efficient=False)


class CrossAttention(nn.Module):
    def __init__(self, query_dim=8, context_dim=6, heads=2):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(query_dim, query_dim, bias=False)
        self.to_kv = nn.Linear(context_dim, 2 * query_dim, bias=False)
        self.to_out = nn.Sequential(nn.Linear(query_dim, query_dim), nn.Dropout(0.1))

    def split(self, t):
        b, n, c = t.shape
        return t.view(b, n, self.heads, c // self.heads).transpose(1, 2)

    def attend(self, q, k, v):
        # the maths kernel only: the others gave NaN with our masks
        with torch.backends.cuda.sdp_kernel(**BACKENDS):
            return F.scaled_dot_product_attention(q, k, v)

    def forward(self, x, context=None):
        q = self.to_q(x)
        k, v = self.to_kv(context).chunk(2, dim=-1)
        q, k, v = map(self.split, (q, k, v))
        o = self.attend(q, k, v)
        return self.to_out(o.transpose(1, 2).flatten(2))


@graphfix.target
def cross_attention():
    torch.manual_seed(85)
    m = CrossAttention().eval().requires_grad_(False)
    yield graphfix.Call(m, torch.randn(2, 5, 8), context=torch.randn(2, 3, 6))
    yield graphfix.Call(m, torch.randn(1, 9, 8), torch.randn(1, 4, 6))
