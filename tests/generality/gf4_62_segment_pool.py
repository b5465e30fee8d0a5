"""Graph classifier: node features are pooled per graph by a batch vector.

The number of graphs comes from the caller, empty graphs are allowed; the
mean pooling divides by ``bincount`` and the max pooling walks the graphs.
"""
from typing import Iterator

import torch
import torch.nn as nn
from torch import Tensor

import graphfix


def scatter_mean(x: Tensor, batch: Tensor, num_graphs: int) -> Tensor:
    out = x.new_zeros(num_graphs, x.size(-1))
    out.index_add_(0, batch, x)
    count = torch.bincount(batch, minlength=num_graphs)
    return out / count.clamp(min=1).unsqueeze(-1).to(x.dtype)


def segment_max(x: Tensor, batch: Tensor, num_graphs: int) -> Tensor:
    """Max over the nodes of each graph; zeros for graphs without nodes."""
    pooled = []
    for g in range(num_graphs):
        nodes = x[batch == g]
        if nodes.shape[0] == 0:
            pooled.append(x.new_zeros(x.size(-1)))
        else:
            pooled.append(nodes.max(dim=0).values)
    return torch.stack(pooled)


class GraphConv(nn.Module):
    def __init__(self, cin: int, cout: int):
        super().__init__()
        self.root = nn.Linear(cin, cout)
        self.nbr = nn.Linear(cin, cout, bias=False)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        src, dst = edge_index
        agg = torch.zeros_like(x).index_add(0, dst, x[src])
        return torch.relu(self.root(x) + self.nbr(agg))


class GraphClassifier(nn.Module):
    def __init__(self, in_dim: int = 5, hidden: int = 8, classes: int = 2):
        super().__init__()
        self.conv1 = GraphConv(in_dim, hidden)
        self.conv2 = GraphConv(hidden, hidden)
        self.readout = nn.Linear(2 * hidden, classes)

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor, num_graphs: int = 3) -> Tensor:
        h = self.conv2(self.conv1(x, edge_index), edge_index)
        pooled = torch.cat([scatter_mean(h, batch, num_graphs), segment_max(h, batch, num_graphs)], dim=-1)
        return self.readout(pooled)


@graphfix.target
def graph_classifier() -> Iterator[graphfix.Call]:
    """Three graphs of nodes; then one of them is empty."""
    torch.manual_seed(0)
    model = GraphClassifier().eval().requires_grad_(False)
    edges = torch.tensor([[0, 1, 2, 3, 4, 5], [1, 0, 3, 2, 5, 4]])
    yield graphfix.Call(model, torch.randn(7, 5), edges, torch.tensor([0, 0, 1, 1, 2, 2, 2]))
    yield graphfix.Call(model, torch.randn(6, 5), edges, torch.tensor([0, 0, 0, 2, 2, 2]))
