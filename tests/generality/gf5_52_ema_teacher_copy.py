"""A self-distillation step that deep-copies its student as a teacher and writes through .data."""
import copy
from typing import Iterator, Optional

import torch
import torch.nn as nn
import torch.nn.functional as F

import graphfix


class DINOHead(nn.Module):
    def __init__(self, in_dim, out_dim, hidden_dim=16, bottleneck_dim=8):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(in_dim, hidden_dim), nn.GELU(), nn.Linear(hidden_dim, bottleneck_dim))
        self.last_layer = nn.Linear(bottleneck_dim, out_dim, bias=False)

    def forward(self, x):
        x = F.normalize(self.mlp(x), dim=-1, p=2)
        return self.last_layer(x)


class MeanTeacher(nn.Module):
    """Student-teacher pair; the teacher is made on the first call."""

    def __init__(self, dim: int = 10, out_dim: int = 12, momentum: float = 0.9, center_momentum: float = 0.9):
        super().__init__()
        self.student = DINOHead(dim, out_dim)
        self.teacher: Optional[nn.Module] = None
        self.momentum, self.center_momentum = momentum, center_momentum
        self.register_buffer("center", torch.zeros(1, out_dim))

    @torch.no_grad()
    def _momentum_update(self):
        for ps, pt in zip(self.student.parameters(), self.teacher.parameters()):
            pt.data.mul_(self.momentum).add_(ps.data, alpha=1.0 - self.momentum)

    @torch.no_grad()
    def update_center(self, teacher_output):
        batch_center = teacher_output.mean(dim=0, keepdim=True)
        self.center = self.center * self.center_momentum + batch_center * (1 - self.center_momentum)

    def forward(self, view1, view2, temp_s: float = 0.1, temp_t: float = 0.04):
        if self.teacher is None:
            self.teacher = copy.deepcopy(self.student)
            for p in self.teacher.parameters():
                p.requires_grad_(False)
        self._momentum_update()

        s = self.student(view1) / temp_s
        with torch.no_grad():
            raw = self.teacher(view2)
            t = F.softmax((raw - self.center) / temp_t, dim=-1)
        loss = torch.sum(-t.detach() * F.log_softmax(s, dim=-1), dim=-1).mean()
        self.update_center(raw)
        return loss


@graphfix.target
def ema_teacher_copy() -> Iterator[graphfix.Call]:
    """The first step makes the teacher, the second moves it."""
    torch.manual_seed(0)
    model = MeanTeacher().eval()
    yield graphfix.Call(model, torch.randn(4, 10), torch.randn(4, 10))
    yield graphfix.Call(model, torch.randn(6, 10), torch.randn(6, 10), temp_t=0.07)
