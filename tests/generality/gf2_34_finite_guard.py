"""Transformer block in fp16 style: a decorator repairs non-finite activations and raises on bad masks."""
import functools

import torch
from torch import nn

import graphfix


def repair_nonfinite(fn):
    @functools.wraps(fn)
    def inner(self, hidden, *args, **kwargs):
        out = fn(self, hidden, *args, **kwargs)
        bad = ~torch.isfinite(out)
        if bad.any():
            out = out.masked_fill(bad, self.fill)
        return out
    return inner


class Block(nn.Module):
    fill = 0.0

    def __init__(self, d=4):
        super().__init__()
        self.ln = nn.LayerNorm(d)
        self.fc = nn.Linear(d, d)

    @repair_nonfinite
    def forward(self, hidden, mask):
        if (mask < 0).any() or mask.max() > 1:
            raise ValueError(f"mask must be 0/1, got shape {tuple(mask.shape)}")
        return hidden + self.fc(self.ln(hidden)) * mask[..., None]


@graphfix.target
def block():
    torch.manual_seed(7)
    b = Block().requires_grad_(False)
    ok = torch.randn(2, 3, 4)
    broken = ok.clone()
    broken[0, 1, 2] = float("inf")
    yield graphfix.Call(b, ok, torch.ones(2, 3))
    yield graphfix.Call(b, broken, mask=torch.tensor([[1., 1., 0.], [0., 1., 1.]]))
