"""A graph network with a debug hook on every layer which records norms and prints them."""
import sys
from typing import Callable, Dict, Iterator, List

import torch
from torch import Tensor, nn

import graphfix

VERBOSITY = 1


class DebugRecorder:
    """Collects the norm of each layer's output; the hook is registered by name."""

    def __init__(self, stream=None, every: int = 1):
        self.records: Dict[str, List[float]] = {}
        self.stream = stream or sys.stderr
        self.every = every

    def hook(self, name: str) -> Callable:
        def fn(module: nn.Module, inputs, output: Tensor) -> None:
            value = output.detach().norm().item()
            self.records.setdefault(name, []).append(value)
            if VERBOSITY > 1:
                print(f"{name:<10s} {tuple(output.shape)} |out|={value:.4f}", file=self.stream)

        return fn


class GraphConv(nn.Module):
    def __init__(self, in_dim: int, out_dim: int):
        super().__init__()
        self.lin_root = nn.Linear(in_dim, out_dim)
        self.lin_rel = nn.Linear(in_dim, out_dim, bias=False)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        src, dst = edge_index
        msg = self.lin_rel(x)[src]
        agg = torch.zeros(x.size(0), msg.size(-1)).index_add_(0, dst, msg)
        deg = torch.zeros(x.size(0)).scatter_add_(0, dst, torch.ones_like(dst, dtype=x.dtype))
        return self.lin_root(x) + agg / deg.clamp(min=1).unsqueeze(-1)


class GNN(nn.Module):
    def __init__(self, in_dim: int = 5, hidden: int = 8, num_layers: int = 2, debug: bool = True):
        super().__init__()
        self.convs = nn.ModuleList()
        for i in range(num_layers):
            self.convs.append(GraphConv(in_dim if i == 0 else hidden, hidden))
        self.readout = nn.Linear(hidden, 1)
        self.recorder = DebugRecorder()
        if debug:
            for i, conv in enumerate(self.convs):
                conv.register_forward_hook(self.recorder.hook(f"conv{i}"))

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        for conv in self.convs:
            x = conv(x, edge_index).relu()
        print("pooled", x.shape[0], "nodes over", edge_index.shape[1], "edges", file=sys.stderr, flush=True)
        return self.readout(x.mean(0))


@graphfix.target
def debug_hooks() -> Iterator[graphfix.Call]:
    """A ring of six nodes, a random graph."""
    torch.manual_seed(0)
    model = GNN().eval()
    ring = torch.stack([torch.arange(6), (torch.arange(6) + 1) % 6])
    yield graphfix.Call(model, torch.randn(6, 5), ring)
    yield graphfix.Call(model, torch.randn(4, 5), torch.randint(0, 4, (2, 11)))
