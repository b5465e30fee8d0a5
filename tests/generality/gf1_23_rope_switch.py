"""Rotary embedding: the longest position decides between two frequency tables."""
import torch
from torch import nn

import graphfix


class ScaledRotary(nn.Module):
    def __init__(self, dim: int = 4, original: int = 6):
        super().__init__()
        self.original_max_position_embeddings = original
        self.register_buffer("short_freq", 1.0 / 100 ** (torch.arange(0, dim, 2) / dim), persistent=False)
        self.register_buffer("long_freq", self.short_freq / 4, persistent=False)

    @torch.no_grad()
    def forward(self, x, position_ids):
        seq_len = torch.max(position_ids).item() + 1
        if seq_len > self.original_max_position_embeddings:
            inv_freq = self.long_freq
        else:
            inv_freq = self.short_freq
        freqs = position_ids[:, :, None].float() * inv_freq[None, None, :]
        emb = torch.cat((freqs, freqs), dim=-1)
        return emb.cos().to(x.dtype), emb.sin().to(x.dtype)


@graphfix.target
def rotary():
    m = ScaledRotary()
    yield graphfix.Call(m, torch.randn(1, 4, 4), position_ids=torch.arange(4)[None])
    yield graphfix.Call(m, torch.randn(2, 9, 4), position_ids=torch.arange(9).repeat(2, 1))
