"""Feature distillation loss that freezes the teacher inside forward."""
import torch
from torch import nn

import graphfix


class DistillLoss(nn.Module):
    def __init__(self, dim=6):
        super().__init__()
        self.teacher = nn.Linear(dim, dim)
        self.student = nn.Linear(dim, dim)

    def forward(self, x):
        for p in self.teacher.parameters():
            p.requires_grad = False
        target = self.teacher(x).tanh()
        return (self.student(x) - target).pow(2).mean(dim=-1)


@graphfix.target
def frozen_teacher():
    torch.manual_seed(3)
    crit = DistillLoss().eval()
    yield graphfix.Call(crit, torch.randn(4, 6))
    yield graphfix.Call(crit, torch.randn(2, 3, 6))
