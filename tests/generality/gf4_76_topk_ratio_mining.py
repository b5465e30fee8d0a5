"""OHEM: keep the hardest share of the valid pixels; statistics of the rest."""
import math

import torch
import torch.nn.functional as F
from torch import nn

import graphfix


class OHEMLoss(nn.Module):
    def __init__(self, ratio=0.3, min_kept=4, ignore=255):
        super().__init__()
        self.ratio, self.min_kept, self.ignore = ratio, min_kept, ignore

    def forward(self, logits, target):
        loss = F.cross_entropy(logits, target, ignore_index=self.ignore, reduction="none").view(-1)
        valid = torch.where(target.view(-1) != self.ignore)[0]
        loss = loss[valid]
        k = max(self.min_kept, math.ceil(self.ratio * loss.numel()))
        hard, _ = loss.topk(min(k, loss.numel()))
        return hard.mean(), loss.std(unbiased=False), loss.max()


@graphfix.target
def ohem():
    torch.manual_seed(52)
    crit = OHEMLoss().eval()
    t = torch.randint(0, 3, (2, 5, 5))
    t[0, :2] = 255
    yield graphfix.Call(crit, torch.randn(2, 3, 5, 5), t)
    t2 = torch.full((1, 3, 4), 255)
    t2[0, 1] = torch.tensor([0, 1, 2, 1])
    yield graphfix.Call(crit, torch.randn(1, 3, 3, 4), target=t2)
