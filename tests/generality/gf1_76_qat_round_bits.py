"""Learned bit-width fake quantisation: round() on what the model learned."""
import torch
from torch import nn, Tensor

import graphfix


class LearnedBits(nn.Module):
    """Symmetric per-tensor fake-quant with a trainable number of bits."""

    def __init__(self, init_bits: float, lo: int = 2, hi: int = 8) -> None:
        super().__init__()
        self.bits = nn.Parameter(torch.tensor(init_bits))
        self.lo, self.hi = lo, hi

    def qmax(self) -> int:
        n_bits = min(max(round(self.bits.item()), self.lo), self.hi)
        return 2 ** (n_bits - 1) - 1

    def forward(self, w: Tensor, pct: Tensor) -> Tensor:
        q = self.qmax()
        scale = w.abs().max() * round(float(pct), 2) / q
        return torch.clamp(torch.round(w / scale), -q - 1, q) * scale


class QLinear(nn.Linear):
    def __init__(self, *a, bits: float = 3.6, **kw):
        super().__init__(*a, **kw)
        self.quant = LearnedBits(bits)

    def forward(self, x, pct):
        return nn.functional.linear(x, self.quant(self.weight, pct=pct), self.bias)


@graphfix.target
def qlinear():
    torch.manual_seed(8)
    coarse, fine = QLinear(6, 5, bits=3.6).eval(), QLinear(6, 5, bits=11.2).eval()
    yield graphfix.Call(coarse, torch.randn(4, 6), torch.tensor(0.987))
    yield graphfix.Call(fine, torch.randn(2, 3, 6), torch.tensor(1.0))
    yield graphfix.Call(coarse, torch.randn(1, 6), pct=torch.tensor(0.5))
