"""Graph nets on CSR input: source ids are rebuilt from rowptr with repeat_interleave."""
from typing import NamedTuple

import torch
from torch import Tensor

from graphfix import Call, target


class CSR(NamedTuple):
    rowptr: Tensor
    col: Tensor


def to_coo(adj: CSR) -> Tensor:
    deg = adj.rowptr[1:] - adj.rowptr[:-1]
    row = torch.repeat_interleave(torch.arange(deg.numel(), device=deg.device), deg)
    return torch.stack([row, adj.col], dim=0)


class EdgeMax(torch.nn.Module):
    def forward(self, x: Tensor, rowptr: Tensor, col: Tensor, longest: bool = False) -> Tensor:
        row, col = to_coo(CSR(rowptr, col))
        msg = (x[col] - x[row]).abs()
        out = x.new_zeros(x.shape)
        out = out.scatter_reduce(0, row[:, None].expand_as(msg), msg, reduce="amax")
        if longest:
            n = int((rowptr[1:] - rowptr[:-1]).max())  # max degree
            return out * n
        return out


@target
def edge_max():
    torch.manual_seed(19)
    net = EdgeMax()
    yield Call(net, torch.randn(4, 3), torch.tensor([0, 2, 2, 3, 6]), torch.tensor([1, 3, 0, 0, 1, 2]))
    yield Call(net, torch.randn(2, 3), rowptr=torch.tensor([0, 1, 2]), col=torch.tensor([1, 0]), longest=True)
