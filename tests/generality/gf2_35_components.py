"""Graph nets: connected components by label propagation, `while changed:` on a tensor."""
import torch
from torch import LongTensor

import graphfix


def connected_components(edge_index: LongTensor, num_nodes: int) -> LongTensor:
    src, dst = torch.cat([edge_index, edge_index.flip(0)], dim=1)
    label = torch.arange(num_nodes)
    changed = torch.ones((), dtype=torch.bool)
    while changed:
        new = label.scatter_reduce(0, dst, label[src], reduce="amin", include_self=True)
        changed = (new != label).any()
        label = new
    return label


@graphfix.target
def components():
    chain = torch.tensor([[0, 1, 2, 5], [1, 2, 3, 6]])
    yield graphfix.Call(connected_components, chain, 7)
    yield graphfix.Call(connected_components, torch.tensor([[4, 3], [3, 0]]), num_nodes=5)
    yield graphfix.Call(connected_components, torch.zeros(2, 0, dtype=torch.long), 3)
