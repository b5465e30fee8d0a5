"""Multi-task regressor; the head is chosen by a name built from the task id."""
import logging

import torch
from torch import nn

import graphfix

log = logging.getLogger(__name__)
log.addHandler(logging.NullHandler())
log.propagate = False


def head_name(task_id: torch.Tensor) -> str:
    return f"task_{task_id.item():02d}"


class MultiTask(nn.Module):
    def __init__(self, in_dim: int, out_dims: list[int]):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(in_dim, 24), nn.GELU())
        self.heads = nn.ModuleDict({f"task_{i:02d}": nn.Linear(24, d) for i, d in enumerate(out_dims)})
        self.temps = [1.0 + 0.5 * i for i in range(len(out_dims))]

    def forward(self, x, task_id):
        z = self.trunk(x)
        key = head_name(task_id)
        log.debug("running %s, |z|=%.3f", key, z.norm())
        out = self.heads[key](z)
        return out / self.temps[int(task_id)]


@graphfix.target
def multitask():
    torch.manual_seed(5)
    model = MultiTask(10, [3, 1, 4])
    model.eval()
    yield graphfix.Call(model, torch.randn(6, 10), torch.tensor(0))
    yield graphfix.Call(model, torch.randn(2, 10), task_id=torch.tensor(2))
    yield graphfix.Call(model, torch.randn(6, 10), torch.tensor(1))
