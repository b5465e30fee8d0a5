"""A transformer block that logs its activation ranges and warns on outliers."""
import logging
import warnings
from typing import Iterator, Optional

import torch
import torch.nn as nn

import graphfix

logger = logging.getLogger(__name__)


class Mlp(nn.Module):
    """ MLP as used in Vision Transformer, MLP-Mixer and related networks """

    def __init__(self, in_features, hidden_features=None, act_layer=nn.GELU, drop=0.):
        super().__init__()
        hidden_features = hidden_features or in_features
        self.fc1 = nn.Linear(in_features, hidden_features)
        self.act = act_layer()
        self.fc2 = nn.Linear(hidden_features, in_features)
        self.drop = nn.Dropout(drop)

    def forward(self, x):
        return self.drop(self.fc2(self.drop(self.act(self.fc1(x)))))


class LayerScale(nn.Module):
    def __init__(self, dim, init_values=1e-5, inplace=False):
        super().__init__()
        self.inplace = inplace
        self.gamma = nn.Parameter(init_values * torch.ones(dim))

    def forward(self, x):
        return x.mul_(self.gamma) if self.inplace else x * self.gamma


class MonitoredBlock(nn.Module):
    def __init__(self, dim: int = 16, num_heads: int = 4, init_values: float = 0.1, limit: float = 8.0):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.qkv, self.proj = nn.Linear(dim, dim * 3), nn.Linear(dim, dim)
        self.num_heads = num_heads
        self.ls1 = LayerScale(dim, init_values)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, 4 * dim)
        self.limit = limit

    def attn(self, x):
        B, N, C = x.shape
        q, k, v = self.qkv(x).reshape(B, N, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        x = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.proj(x.transpose(1, 2).reshape(B, N, C))

    def _watch(self, name: str, x: torch.Tensor) -> torch.Tensor:
        peak = x.detach().abs().max()
        logger.debug("%s: peak %.4f mean %.4f", name, peak.item(), x.mean().item())
        if peak > self.limit:
            warnings.warn(f"{name} has an outlier of {peak:.2f}", RuntimeWarning)
        return x

    def forward(self, x: torch.Tensor, prefix: Optional[str] = None) -> torch.Tensor:
        prefix = prefix or "block"
        x = x + self.ls1(self._watch(f"{prefix}.attn", self.attn(self.norm1(x))))
        x = x + self.mlp(self.norm2(x))
        return self._watch(f"{prefix}.out", x)


@graphfix.target
def monitored_block() -> Iterator[graphfix.Call]:
    """Ordinary tokens, then tokens with one outlier."""
    torch.manual_seed(0)
    block = MonitoredBlock().eval()
    x = torch.randn(2, 6, 16)
    yield graphfix.Call(block, x)
    y = x.clone()
    y[0, 0, 0] = 30.0
    yield graphfix.Call(block, y, prefix="blocks.11")
