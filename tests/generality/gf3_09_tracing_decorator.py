"""A decorator that announces every call on stderr."""
import functools
import sys

import torch

import graphfix


def announced(label):
    def decorate(fn):
        @functools.wraps(fn)
        def inner(*args, **kwargs):
            print(f"[{label}] -> {fn.__name__}", file=sys.stderr)
            result = fn(*args, **kwargs)
            print(f"[{label}] <- {fn.__name__}", file=sys.stderr)
            return result
        return inner
    return decorate


@announced("rotary")
def rotate_half(x: torch.Tensor, dim: int = -1) -> torch.Tensor:
    a, b = x.chunk(2, dim=dim)
    return torch.cat((-b, a), dim=dim)


@graphfix.target
def rotary():
    yield graphfix.Call(rotate_half, torch.randn(2, 4))
    yield graphfix.Call(rotate_half, torch.randn(6, 3), dim=0)
