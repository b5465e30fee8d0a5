"""Post-training quantisation simulator for a small image classifier stem.

Activations are observed per call, a scale and a zero point are worked out in
float, and the tensor is rounded to the grid before the next convolution.
"""

from dataclasses import dataclass
from typing import Iterator, Tuple

import torch
import torch.nn as nn

import graphfix


@dataclass
class QuantConfig:
    bits: int = 8
    symmetric: bool = False
    eps: float = 1e-8

    @property
    def qmin(self) -> int:
        return -(2 ** (self.bits - 1)) if self.symmetric else 0

    @property
    def qmax(self) -> int:
        return 2 ** (self.bits - 1) - 1 if self.symmetric else 2**self.bits - 1


def compute_qparams(x: torch.Tensor, cfg: QuantConfig) -> Tuple[float, int]:
    """Min/max observer -> (scale, zero_point), both plain python numbers."""
    lo, hi = x.min().item(), x.max().item()
    if cfg.symmetric:
        bound = max(abs(lo), abs(hi))
        return max(bound / cfg.qmax, cfg.eps), 0
    lo, hi = min(lo, 0.0), max(hi, 0.0)      # the grid has to contain zero
    scale = max((hi - lo) / float(cfg.qmax - cfg.qmin), cfg.eps)
    zero_point = int(round(cfg.qmin - lo / scale))
    return scale, zero_point


class FakeQuant(nn.Module):
    def __init__(self, cfg: QuantConfig) -> None:
        super().__init__()
        self.cfg = cfg

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale, zp = compute_qparams(x, self.cfg)
        q = torch.clamp(torch.round(x / scale) + zp, self.cfg.qmin, self.cfg.qmax)
        return (q - zp) * scale


class QuantStem(nn.Module):
    def __init__(self, width: int = 8, num_classes: int = 5):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, stride=2, padding=1)
        self.act_q = FakeQuant(QuantConfig(bits=8))
        self.out_q = FakeQuant(QuantConfig(bits=6, symmetric=True))
        self.fc = nn.Linear(width, num_classes)

    def forward(self, img: torch.Tensor) -> torch.Tensor:
        h = self.act_q(torch.relu(self.conv1(img)))
        h = self.out_q(self.conv2(h))
        return self.fc(h.mean(dim=(2, 3)))


@graphfix.target
def quant_stem() -> Iterator[graphfix.Call]:
    """Two image sizes through the quantised stem."""
    torch.manual_seed(0)
    model = QuantStem().eval().requires_grad_(False)
    yield graphfix.Call(model, torch.rand(2, 3, 16, 16))
    yield graphfix.Call(model, torch.rand(1, 3, 24, 12) * 4 - 2)
