"""GNN: operators are looked up by name through importlib in every call."""
import importlib

import torch

import graphfix


def pool(nodes: torch.Tensor, *, op: str = "amax") -> torch.Tensor:
    module = importlib.import_module("torch")
    reduce = getattr(module, op)
    return reduce(nodes, 0)


@graphfix.target
def pooling():
    yield graphfix.Call(pool, torch.randn(4, 3))
    yield graphfix.Call(pool, torch.randn(6, 2), op="amin")
