"""Quantisation: a walrus takes the scale as a float, and an arithmetic expression over several lines uses it twice."""
import torch

import graphfix


def fake_quant(w: torch.Tensor, bits: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    levels = 2 ** (bits - 1) - 1
    q = torch.round(
        w
        / (step := float(w.abs().amax()))  # symmetric: zero stays zero
        * levels
    )
    return q, q * step / levels


@graphfix.target
def quantise():
    yield graphfix.Call(fake_quant, torch.randn(4, 4))
    yield graphfix.Call(fake_quant, torch.randn(6, 2), bits=4)
