"""A static key-value cache which writes at a position held in a tensor."""
from typing import Iterator, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import graphfix


class KVCache(nn.Module):
    def __init__(self, max_batch: int, max_len: int, heads: int, head_dim: int):
        super().__init__()
        shape = (max_batch, heads, max_len, head_dim)
        self.register_buffer("k_cache", torch.zeros(shape), persistent=False)
        self.register_buffer("v_cache", torch.zeros(shape), persistent=False)

    def update(self, input_pos: Tensor, k: Tensor, v: Tensor) -> Tuple[Tensor, Tensor]:
        # input_pos: [S], k: [B, H, S, D]
        bsz = k.size(0)
        start = int(input_pos[0])
        end = start + k.size(2)
        self.k_cache[:bsz, :, start:end] = k
        self.v_cache[:bsz, :, start:end] = v
        return self.k_cache[:bsz], self.v_cache[:bsz]


class Attention(nn.Module):
    def __init__(self, dim: int = 32, n_head: int = 4, max_len: int = 24):
        super().__init__()
        assert dim % n_head == 0
        self.n_head, self.head_dim = n_head, dim // n_head
        self.wqkv = nn.Linear(dim, 3 * dim, bias=False)
        self.wo = nn.Linear(dim, dim, bias=False)
        self.kv_cache: Optional[KVCache] = KVCache(2, max_len, n_head, self.head_dim)
        mask = torch.tril(torch.ones(max_len, max_len, dtype=torch.bool))
        self.register_buffer("causal_mask", mask, persistent=False)

    def forward(self, x: Tensor, input_pos: Tensor) -> Tensor:
        B, S, _ = x.shape
        q, k, v = self.wqkv(x).chunk(3, dim=-1)
        q = q.view(B, S, self.n_head, self.head_dim).transpose(1, 2)
        k = k.view(B, S, self.n_head, self.head_dim).transpose(1, 2)
        v = v.view(B, S, self.n_head, self.head_dim).transpose(1, 2)
        if self.kv_cache is not None:
            k, v = self.kv_cache.update(input_pos, k, v)
        mask = self.causal_mask[None, None, input_pos]
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        y = y.transpose(1, 2).contiguous().view(B, S, -1)
        return self.wo(y)


@graphfix.target
def kv_cache_write() -> Iterator[graphfix.Call]:
    """A prompt, then a token, then another."""
    torch.manual_seed(0)
    layer = Attention().eval()
    yield graphfix.Call(layer, torch.randn(2, 5, 32), torch.arange(5))
    yield graphfix.Call(layer, torch.randn(2, 1, 32), torch.tensor([5]))
    yield graphfix.Call(layer, torch.randn(2, 1, 32), input_pos=torch.tensor([6]))
