"""A molecule model that splits atoms by graph, pads them to attend, and selects labelled rows for the loss."""
from dataclasses import dataclass, field
from typing import Iterator, List, Optional

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_sequence

import graphfix


@dataclass
class ModelArgs:
    num_types: int = 9
    dim: int = 16
    heads: int = 2
    targets: List[str] = field(default_factory=lambda: ["mu", "alpha"])


class SetAttention(nn.Module):
    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x, key_padding_mask):
        B, N, D = x.shape
        q, k, v = (t.view(B, N, self.heads, -1).transpose(1, 2) for t in self.qkv(x).chunk(3, -1))
        a = q @ k.transpose(-1, -2) / (D // self.heads) ** 0.5
        a = a.masked_fill(~key_padding_mask[:, None, None, :], -1e9).softmax(-1)
        return self.out((a @ v).transpose(1, 2).reshape(B, N, D))


class MoleculeNet(nn.Module):
    def __init__(self, args: Optional[ModelArgs] = None):
        super().__init__()
        args = args or ModelArgs()
        self.embed = nn.Embedding(args.num_types, args.dim)
        self.attn = SetAttention(args.dim, args.heads)
        self.norm = nn.LayerNorm(args.dim)
        self.head = nn.Linear(args.dim, len(args.targets))

    def to_dense(self, h, num_nodes):
        """[sum(n), D] -> [B, max(n), D] with a mask of true atoms"""
        chunks = torch.split(h, num_nodes.tolist(), dim=0)
        dense = pad_sequence(list(chunks), batch_first=True)
        mask = torch.arange(dense.size(1))[None] < num_nodes[:, None]
        return dense, mask

    def forward(self, z, num_nodes, y=None):
        h, mask = self.to_dense(self.embed(z), num_nodes)
        h = self.norm(h + self.attn(h, mask))
        h = torch.where(mask.unsqueeze(-1), h, 0.0)
        pred = self.head(h.sum(1) / num_nodes.unsqueeze(-1))
        if y is None:
            return pred
        # some targets are missing for some molecules
        labelled = ~torch.isnan(y)
        return F.l1_loss(torch.masked_select(pred, labelled), torch.masked_select(y, labelled))


@graphfix.target
def graph_split_readout() -> Iterator[graphfix.Call]:
    """Three molecules, four others, and a loss with missing labels."""
    torch.manual_seed(0)
    net = MoleculeNet().eval()
    sizes = torch.tensor([3, 5, 2])
    yield graphfix.Call(net, torch.randint(0, 9, (10,)), sizes)
    yield graphfix.Call(net, torch.randint(0, 9, (12,)), num_nodes=torch.tensor([1, 7, 2, 2]))
    y = torch.tensor([[0.3, float("nan")], [-1.0, 0.2], [float("nan"), 2.0]])
    yield graphfix.Call(net, torch.randint(0, 9, (10,)), sizes, y=y)
