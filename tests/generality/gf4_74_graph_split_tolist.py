"""Per-graph attention read-out of a packed batch: split by node counts."""
from typing import List

import torch
from torch import nn, Tensor
import graphfix


class AttnReadout(nn.Module):
    def __init__(self, dim: int = 6) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.score = nn.Linear(dim, 1)
        self.value = nn.Linear(dim, dim)

    def readout(self, nodes: Tensor) -> Tensor:
        a = self.score(nodes).softmax(dim=0)
        return (a * self.value(nodes)).sum(dim=0)

    def forward(self, x: Tensor, batch_num_nodes: Tensor) -> Tensor:
        chunks: List[Tensor] = list(torch.split(self.norm(x), batch_num_nodes.tolist()))
        pooled = torch.stack([self.readout(c) for c in chunks])
        return pooled.tanh()


@graphfix.target
def attn_readout():
    torch.manual_seed(35)
    m = AttnReadout().eval().requires_grad_(False)
    yield graphfix.Call(m, torch.randn(10, 6), torch.tensor([3, 5, 2]))
    yield graphfix.Call(m, torch.randn(7, 6), batch_num_nodes=torch.tensor([6, 1]))
