"""Training step that returns its accuracy as a Python float.

Nobody can repair this: the caller gets a float, and a float exists only after the tensor was read.
"""
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

import graphfix


class Probe(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lin = nn.Linear(4, 3)

    def forward(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, Any]]:
        logits = self.lin(batch["x"])
        loss = F.cross_entropy(logits, batch["y"])
        return loss, {"acc": (logits.argmax(-1) == batch["y"]).float().mean().item()}


@graphfix.target
def probe():
    m = Probe().requires_grad_(False)
    yield graphfix.Call(m, {"x": torch.randn(6, 4), "y": torch.randint(3, (6,))})
    yield graphfix.Call(m, {"x": torch.randn(8, 4), "y": torch.randint(3, (8,))})
