"""Slot attention tracker which copies its state and its config before each update.

``copy.deepcopy`` was put in after somebody found the caller's state changed
in place.
"""
import copy
from dataclasses import dataclass, field
from typing import Dict, Iterator, List

import torch
from torch import Tensor, nn

import graphfix


@dataclass
class SlotConfig:
    slots: int = 3
    dim: int = 8
    iters: int = 2
    temperatures: List[float] = field(default_factory=lambda: [1.0, 0.5])


class SlotUpdate(nn.Module):
    def __init__(self, cfg: SlotConfig):
        super().__init__()
        self.to_q = nn.Linear(cfg.dim, cfg.dim, bias=False)
        self.to_kv = nn.Linear(cfg.dim, 2 * cfg.dim, bias=False)
        self.gru = nn.GRUCell(cfg.dim, cfg.dim)

    def forward(self, slots: Tensor, feats: Tensor, temperature: float) -> Tensor:
        k, v = self.to_kv(feats).chunk(2, dim=-1)
        attn = (self.to_q(slots) @ k.transpose(-1, -2) / temperature).softmax(dim=-2)
        attn = attn / attn.sum(-1, keepdim=True)
        upd = attn @ v
        b, s, d = slots.shape
        return self.gru(upd.reshape(-1, d), slots.reshape(-1, d)).view(b, s, d)


class SlotTracker(nn.Module):
    def __init__(self, cfg: SlotConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.update = SlotUpdate(cfg)

    def forward(self, feats: Tensor, state: Dict[str, Tensor], sharpen: bool = False) -> Dict[str, Tensor]:
        cfg = copy.deepcopy(self.cfg)
        if sharpen:
            cfg.temperatures = [t * 0.5 for t in cfg.temperatures]
        new_state = copy.deepcopy(state)
        slots = new_state["slots"]
        for it in range(cfg.iters):
            slots = self.update(slots, feats, cfg.temperatures[it])
        new_state["velocity"].mul_(0.9).add_(slots - state["slots"], alpha=0.1)
        new_state["slots"] = slots
        new_state["age"] += 1
        return new_state


@graphfix.target
def slot_tracker() -> Iterator[graphfix.Call]:
    """One frame each from two videos, the second one sharpened."""
    torch.manual_seed(0)
    model = SlotTracker(SlotConfig()).eval().requires_grad_(False)

    def fresh(b: int) -> Dict[str, Tensor]:
        return {"slots": torch.randn(b, 3, 8), "velocity": torch.zeros(b, 3, 8), "age": torch.zeros(b)}

    yield graphfix.Call(model, torch.randn(2, 7, 8), fresh(2))
    yield graphfix.Call(model, torch.randn(1, 9, 8), fresh(1), sharpen=True)
