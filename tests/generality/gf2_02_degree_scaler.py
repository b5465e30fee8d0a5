"""GNN: an elif chain picks a scaler from the mean degree."""
import torch
from torch import Tensor

import graphfix


def aggregate(messages: Tensor, degree: Tensor) -> Tensor:
    mean_degree = degree.float().mean()
    if mean_degree < 1.0:      # almost no edges
        out = messages * 0.5
    elif mean_degree < 3.0:
        out = messages + messages.mean(dim=0, keepdim=True)
    else:                      # dense
        out = messages / degree[:, None]
    return torch.tanh(out)


@graphfix.target
def gnn():
    yield graphfix.Call(aggregate, torch.randn(4, 3), degree=torch.tensor([1, 0, 1, 1]))
    yield graphfix.Call(aggregate, torch.randn(5, 3), degree=torch.tensor([2, 2, 1, 3, 1]))
    yield graphfix.Call(aggregate, torch.randn(3, 3), degree=torch.tensor([5, 4, 6]))
