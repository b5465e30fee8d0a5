"""PyG-style graph readout: split the nodes per graph, pad to a dense batch, attention-pool each graph."""
from typing import Optional

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

import graphfix


class DenseReadout(nn.Module):
    def __init__(self, dim: int = 5, out: int = 3):
        super().__init__()
        self.score = nn.Linear(dim, 1)
        self.lin = nn.Linear(dim, out)

    @staticmethod
    def to_dense(x: Tensor, num_nodes: Tensor):
        chunks = x.split(num_nodes.tolist())
        dense = pad_sequence(chunks, batch_first=True)            # (B, N_max, D)
        mask = torch.arange(dense.size(1), device=x.device) < num_nodes[:, None]
        return dense, mask

    def forward(self, x: Tensor, num_nodes: Tensor, u: Optional[Tensor] = None) -> Tensor:
        dense, mask = self.to_dense(x, num_nodes)
        att = self.score(dense).squeeze(-1).masked_fill(~mask, float("-inf")).softmax(-1)
        pooled = (att.unsqueeze(1) @ dense).squeeze(1)
        if u is not None:
            pooled = pooled + u
        return self.lin(pooled)


@graphfix.target
def to_dense_batch():
    torch.manual_seed(6)
    net = DenseReadout().eval().requires_grad_(False)
    yield graphfix.Call(net, torch.randn(9, 5), torch.tensor([4, 2, 3]))
    yield graphfix.Call(net, torch.randn(6, 5), num_nodes=torch.tensor([1, 5]), u=torch.randn(2, 5))
