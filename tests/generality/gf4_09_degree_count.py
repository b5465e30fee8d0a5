"""GNN: in-degrees by bincount with minlength, then a normalised adjacency."""
from dataclasses import dataclass

import torch

import graphfix


@dataclass(frozen=True)
class Graph:
    edge_index: torch.Tensor
    num_nodes: int


def gcn_norm(graph: Graph, add_one: bool = True) -> torch.Tensor:
    src, dst = graph.edge_index
    degree = torch.bincount(dst, minlength=graph.num_nodes)
    inv_sqrt = (degree + int(add_one)).float().rsqrt()
    return inv_sqrt[src] * inv_sqrt[dst]


@graphfix.target
def norm():
    yield graphfix.Call(gcn_norm, Graph(torch.tensor([[0, 1, 2], [1, 2, 2]]), num_nodes=3))
    yield graphfix.Call(gcn_norm, graph=Graph(torch.tensor([[0, 3, 2, 1], [1, 2, 0, 3]]), num_nodes=4))
