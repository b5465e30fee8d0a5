"""Sampling: a learned temperature is read with .item() inside a decorated method two modules deep."""
import functools

import torch
import torch.nn.functional as F
from torch import nn

import graphfix


def in_float32(method):
    @functools.wraps(method)
    def wrapper(self, logits, *args, **kwargs):
        return method(self, logits.float(), *args, **kwargs)
    return wrapper


class Warper(nn.Module):
    def __init__(self):
        super().__init__()
        self.temperature = nn.Parameter(torch.tensor(0.7), requires_grad=False)

    @in_float32
    def forward(self, logits, top: int = 2):
        scaled = logits / self.temperature.item()
        kept = torch.topk(scaled, k=top, dim=-1)
        return F.softmax(kept.values, dim=-1), kept.indices


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(6, 9)
        self.warper = Warper()

    def forward(self, h):
        probs, idx = self.warper(self.out(h), top=3)
        return {"probs": probs, "idx": idx}


@graphfix.target
def sample():
    head = Head().requires_grad_(False)
    yield graphfix.Call(head, torch.randn(2, 6))
    yield graphfix.Call(head, torch.randn(5, 6))
