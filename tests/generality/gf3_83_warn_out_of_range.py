"""Warn when a normalised input is outside [-1, 1], go on anyway."""
import warnings

import torch

import graphfix


def encode(x, w):
    if x.abs().max() > 1:
        warnings.warn("input outside [-1, 1], results may be off", stacklevel=2)
    return torch.tanh(x @ w)


@graphfix.target
def warn_out_of_range():
    torch.manual_seed(2)
    yield graphfix.Call(encode, torch.rand(2, 3), torch.randn(3, 4))
    yield graphfix.Call(encode, torch.randn(4, 3) * 5, torch.randn(3, 2))
