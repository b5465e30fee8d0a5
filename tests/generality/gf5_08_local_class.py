"""A result class is defined inside the function that returns it."""
from dataclasses import dataclass

import torch

import graphfix


def split_heads(x: torch.Tensor, heads: int):
    @dataclass
    class Parts:
        query: torch.Tensor
        key: torch.Tensor

    q, k = x.unflatten(-1, (heads, -1)).chunk(2, dim=-1)
    parts = Parts(query=q, key=k)
    return parts.query * parts.key


@graphfix.target
def split():
    yield graphfix.Call(split_heads, torch.randn(2, 8), heads=2)
    yield graphfix.Call(split_heads, torch.randn(3, 12), heads=3)
