"""GNN: only the active nodes get an update, by their row numbers."""
import torch
from torch import nn

import graphfix


class NodeUpdate(nn.Module):
    def __init__(self):
        super().__init__()
        self.msg = nn.Linear(3, 3)

    def forward(self, nodes: torch.Tensor, active: torch.Tensor) -> torch.Tensor:
        (rows,) = torch.where(active)
        nodes = nodes.clone()
        nodes[rows] += self.msg(nodes[rows])
        return nodes


@graphfix.target
def update():
    u = NodeUpdate().requires_grad_(False)
    yield graphfix.Call(u, torch.randn(5, 3), active=torch.tensor([True, False, True, True, False]))
    yield graphfix.Call(u, torch.randn(3, 3), active=torch.tensor([False, False, True]))
