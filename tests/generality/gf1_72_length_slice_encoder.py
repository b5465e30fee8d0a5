"""Character encoder that trims the batch to its longest word first."""
from dataclasses import dataclass
from typing import Optional

import torch
from torch import nn, Tensor

import graphfix


@dataclass
class CharConfig:
    vocab: int = 30
    dim: int = 16
    max_chars: int = 24


class CharEncoder(nn.Module):
    def __init__(self, cfg: CharConfig):
        super().__init__()
        self.cfg = cfg
        self.embed = nn.Embedding(cfg.vocab, cfg.dim, padding_idx=0)
        self.pos = nn.Parameter(torch.randn(cfg.max_chars, cfg.dim) * 0.02)
        self.conv = nn.Conv1d(cfg.dim, cfg.dim, 3, padding=1)

    def forward(self, chars: Tensor, lengths: Optional[Tensor] = None) -> Tensor:
        if lengths is None:
            lengths = (chars != 0).sum(-1)
        longest = int(lengths.max())        # the collate fn pads to exactly this
        x = self.embed(chars[:, :longest]) + self.pos[:longest]
        keep = torch.arange(longest)[None, :] < lengths[:, None]
        x = x * keep.unsqueeze(-1)
        x = self.conv(x.transpose(1, 2)).relu()
        x = x.masked_fill(~keep.unsqueeze(1), float("-inf"))
        return x.amax(dim=-1)


@graphfix.target
def char_encoder():
    torch.manual_seed(11)
    enc = CharEncoder(CharConfig()).eval().requires_grad_(False)
    ids = torch.randint(1, 30, (3, 9))
    lens = torch.tensor([9, 4, 6])
    ids = ids * (torch.arange(9) < lens[:, None])
    yield graphfix.Call(enc, ids, lengths=lens)
    yield graphfix.Call(enc, torch.randint(1, 30, (2, 5)))
