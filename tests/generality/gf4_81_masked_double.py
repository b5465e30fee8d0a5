"""Masked read and write: leaky slope on the negative entries, in place on a copy."""
import torch

import graphfix


def leaky(x, slope=0.1):
    out = x.clone()
    neg = out < 0
    out[neg] = out[neg] * slope
    return out


@graphfix.target
def masked_double():
    torch.manual_seed(0)
    yield graphfix.Call(leaky, torch.randn(3, 4))
    yield graphfix.Call(leaky, torch.rand(6), slope=0.3)          # nothing negative
