"""Rotary embedding with YaRN scaling, whose tables go through numpy objects in forward."""
import math
from dataclasses import dataclass
from typing import Iterator, Optional, Tuple

import numpy as np
import torch
from torch import nn

import graphfix


@dataclass
class RopeConfig:
    head_dim: int = 8
    base: float = 10000.0
    max_position: int = 32
    factor: float = 4.0
    beta_fast: int = 32
    beta_slow: int = 1


def find_correction_dim(num_rotations, dim, base=10000, max_position=2048):
    return (dim * math.log(max_position / (num_rotations * 2 * math.pi))) / (2 * math.log(base))


def rotate_half(x):
    x1, x2 = x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2:]
    return torch.cat((-x2, x1), dim=-1)


class YarnRotary(nn.Module):
    def __init__(self, cfg: RopeConfig):
        super().__init__()
        self.cfg = cfg
        # attention temperature, measured at a few lengths
        self.mscale_at = np.array([1, 4, 16, 64])
        self.mscale = np.array([1.0, 1.02, 1.09, 1.21])

    def inv_freq(self) -> torch.Tensor:
        cfg = self.cfg
        dim = cfg.head_dim
        pos_freqs = np.power(cfg.base, np.arange(0, dim, 2) / dim)
        low = max(np.floor(find_correction_dim(cfg.beta_fast, dim, cfg.base, cfg.max_position)), 0)
        high = min(np.ceil(find_correction_dim(cfg.beta_slow, dim, cfg.base, cfg.max_position)), dim - 1)
        ramp = np.clip((np.arange(dim // 2) - low) / max(high - low, 1e-3), 0, 1)
        inv = (1 / (cfg.factor * pos_freqs)) * ramp + (1 / pos_freqs) * (1 - ramp)
        return torch.tensor(inv.tolist(), dtype=torch.float32)

    def forward(self, q, k, position_ids: Optional[torch.Tensor] = None) -> Tuple[torch.Tensor, torch.Tensor]:
        if position_ids is None:
            position_ids = torch.arange(q.shape[-2])
        mscale = float(np.interp(q.shape[-2], self.mscale_at, self.mscale))
        freqs = torch.outer(position_ids.float(), self.inv_freq())
        emb = torch.cat((freqs, freqs), dim=-1)
        cos, sin = emb.cos() * mscale, emb.sin() * mscale
        return q * cos + rotate_half(q) * sin, k * cos + rotate_half(k) * sin


@graphfix.target
def numpy_rope() -> Iterator[graphfix.Call]:
    """A prompt, and a step at a late position."""
    torch.manual_seed(0)
    rope = YarnRotary(RopeConfig()).eval()
    yield graphfix.Call(rope, torch.randn(2, 2, 5, 8), torch.randn(2, 2, 5, 8))
    yield graphfix.Call(rope, torch.randn(1, 4, 1, 8), torch.randn(1, 1, 1, 8), position_ids=torch.tensor([17]))
