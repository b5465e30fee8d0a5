"""A cross-attention block with pluggable processors, the deprecated sdp_kernel context and a seeded noise generator."""
import functools
import inspect
from typing import Any, Dict, Generator, Iterator, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import graphfix


@functools.lru_cache(maxsize=None)
def sinusoid(length: int, dim: int) -> Tensor:
    pos = torch.arange(length).unsqueeze(1)
    div = torch.pow(10000.0, -torch.arange(0, dim, 2) / dim)
    return torch.cat([torch.sin(pos * div), torch.cos(pos * div)], dim=1)


class AttnProcessor:
    def __call__(self, attn: "CrossAttention", q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scores = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5
        return scores.softmax(-1) @ v


class SDPProcessor:
    """ PyTorch 2.0 attention, kept to the math kernel """

    def __call__(self, attn: "CrossAttention", q: Tensor, k: Tensor, v: Tensor, scale: float = None) -> Tensor:
        with torch.backends.cuda.sdp_kernel(enable_flash=False, enable_mem_efficient=False, enable_math=True):
            return F.scaled_dot_product_attention(q, k, v, scale=scale)


class CrossAttention(nn.Module):
    def __init__(self, dim: int, ctx_dim: int, heads: int = 2, processor=None):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_kv = nn.Linear(ctx_dim, 2 * dim, bias=False)
        self.to_out = nn.Linear(dim, dim)
        self.processor = processor or SDPProcessor()

    def _split(self, *tensors: Tensor) -> Generator[Tensor, None, None]:
        for t in tensors:
            yield t.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x, context=None, **cross_attention_kwargs: Any):
        attn_parameters = set(inspect.signature(self.processor.__call__).parameters.keys())
        kwargs = {k: w for k, w in cross_attention_kwargs.items() if k in attn_parameters}
        context = x if context is None else context
        q, k, v = self._split(self.to_q(x), *self.to_kv(context).chunk(2, -1))
        out = self.processor(self, q, k, v, **kwargs)
        return self.to_out(out.transpose(1, 2).flatten(2))


class NoisyBlock(nn.Module):
    def __init__(self, dim: int = 8, ctx_dim: int = 6, seed: int = 42, processor=None):
        super().__init__()
        self.seed = seed
        self.norm = nn.LayerNorm(dim)
        self.attn = CrossAttention(dim, ctx_dim, processor=processor)

    def forward(self, x: Tensor, context: Tensor, noise_level: float = 0.1, kw: Optional[Dict[str, Any]] = None):
        generator = torch.Generator(device=x.device).manual_seed(self.seed)
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        x = x + noise_level * noise + sinusoid(x.shape[1], x.shape[2])
        self.last_input = x
        return x + self.attn(self.norm(x), context, **(kw or {}))


@graphfix.target
def attn_processor() -> Iterator[graphfix.Call]:
    """Both processors; the scale is only taken by one."""
    torch.manual_seed(0)
    x, ctx = torch.randn(2, 5, 8), torch.randn(2, 3, 6)
    yield graphfix.Call(NoisyBlock().eval(), x, ctx, kw={"scale": 0.2})
    plain = NoisyBlock(processor=AttnProcessor()).eval()
    yield graphfix.Call(plain, x[:1], context=ctx[:1], noise_level=0.5, kw={"scale": 0.2})
