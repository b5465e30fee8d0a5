"""Embedding model: how to pool is a string, and whether to normalise a flag, both chosen per call."""
from typing import Literal

import torch
from torch import nn

import graphfix

Pooling = Literal["cls", "mean", "max"]


class Embedder(nn.Module):
    def __init__(self, vocab: int = 16, width: int = 4):
        super().__init__()
        self.table = nn.Embedding(vocab, width)
        self.mix = nn.Linear(width, width)

    def forward(self, ids: torch.Tensor, pooling: Pooling = "mean", unit: bool = False) -> torch.Tensor:
        hidden = self.mix(self.table(ids)).relu()
        if pooling == "cls":
            vec = hidden[:, 0]
        elif pooling == "max":
            vec = hidden.amax(dim=1)
        else:
            vec = hidden.mean(dim=1)
        return vec / (vec.norm(dim=-1, keepdim=True) + 1e-6) if unit else vec


@graphfix.target
def embed():
    torch.manual_seed(1)
    model = Embedder().eval().requires_grad_(False)
    ids = torch.randint(0, 16, (2, 5))
    yield graphfix.Call(model, ids)
    yield graphfix.Call(model, ids, pooling="cls")
    yield graphfix.Call(model, ids, pooling="max", unit=True)
    yield graphfix.Call(model, ids, unit=True)
    yield graphfix.Call(model, ids, pooling="cls", unit=True)
