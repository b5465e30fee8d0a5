"""PNA-style degree scalers for message passing; average log-degree is a buffer read with float()."""
import torch
from torch import nn, Tensor

import graphfix


class PNAConv(nn.Module):
    def __init__(self, in_ch=5, out_ch=4, deg_hist=(0, 3, 5, 2)):
        super().__init__()
        hist = torch.tensor(deg_hist, dtype=torch.float)
        bins = torch.arange(hist.numel())
        self.register_buffer("avg_log_deg", ((bins + 1).log() * hist).sum() / hist.sum())
        self.lin = nn.Linear(in_ch * 3, out_ch)
        self.delta = nn.Parameter(torch.tensor(0.7))

    def aggregate(self, x: Tensor, edge_index: Tensor) -> Tensor:
        src, dst = edge_index
        out = x.new_zeros(x.shape)
        return out.index_add(0, dst, x[src])

    def forward(self, x, edge_index):
        deg = torch.zeros(x.size(0)).index_add(0, edge_index[1], torch.ones(edge_index.size(1)))
        agg = self.aggregate(x, edge_index) / deg.clamp(min=1)[:, None]
        log_deg = (deg + 1).log()[:, None]
        avg = float(self.avg_log_deg)
        outs = [
            agg,
            agg * (log_deg / avg),                 # amplification
            agg * (avg / log_deg.clamp(min=1e-3))  # attenuation
        ]
        return self.lin(torch.cat(outs, dim=-1)) * (1 - 1 / (1 + self.delta.item() ** 2))


@graphfix.target
def pna_scalers():
    torch.manual_seed(7)
    conv = PNAConv().eval().requires_grad_(False)
    yield graphfix.Call(conv, torch.randn(6, 5), torch.tensor([[0, 1, 2, 5], [1, 1, 0, 3]]))
    yield graphfix.Call(conv, torch.randn(3, 5), edge_index=torch.tensor([[0, 1, 2, 0, 1], [2, 2, 1, 1, 0]]))
