"""Detection head: the boxes that score over a threshold go back to the caller, however many there are."""
from dataclasses import dataclass

import torch
from torch import nn

import graphfix


@dataclass
class FilterConfig:
    min_score: float = 0.5
    classes: int = 3


class BoxHead(nn.Module):
    def __init__(self, cfg: FilterConfig, dim: int = 6):
        super().__init__()
        self.cfg = cfg
        self.to_box = nn.Linear(dim, 4)
        self.to_cls = nn.Linear(dim, cfg.classes)

    def forward(self, feats):
        boxes = self.to_box(feats).sigmoid()
        scores, labels = self.to_cls(feats).softmax(-1).max(-1)
        keep = scores > self.cfg.min_score
        return boxes[keep], scores[keep], labels[keep]


@graphfix.target
def detect():
    torch.manual_seed(3)
    head = BoxHead(FilterConfig(min_score=0.45)).eval().requires_grad_(False)
    yield graphfix.Call(head, torch.randn(12, 6))
    yield graphfix.Call(head, torch.randn(20, 6))
