"""wav2vec-like encoder: LayerDrop draw made even in eval, mask length read from data, counters, warn helper."""
import functools
import warnings

import numpy as np
import torch
import torch.nn as nn
import graphfix


@functools.lru_cache(None)
def warn_once(msg):
    warnings.warn(msg)


class ConvBlock(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.dw = nn.Conv1d(d, d, 3, padding=1, groups=d)
        self.norm = nn.LayerNorm(d)

    def forward(self, x, keep):
        y = self.dw(x.transpose(1, 2)).transpose(1, 2)
        return self.norm(x + torch.relu(y)) * keep


class Encoder(nn.Module):
    def __init__(self, d=4, layers=3, layerdrop=0.4):
        super().__init__()
        self.layers = nn.ModuleList(ConvBlock(d) for _ in range(layers))
        self.layerdrop = layerdrop
        self.num_forwards = 0

    def make_keep(self, x, lengths):
        longest = int(lengths.max().item())
        if longest > x.size(1):
            raise ValueError("lengths exceed the padded input")
        keep = torch.zeros(x.shape[:2], dtype=x.dtype, device=x.device)
        for row, n in enumerate(lengths):
            keep[row, :n] = 1
        return keep.unsqueeze(-1)

    def forward(self, x, lengths=None):
        self.num_forwards += 1
        if lengths is None:
            warn_once("no lengths: treating every frame as valid")
            keep = torch.ones_like(x[..., :1])
        else:
            keep = self.make_keep(x, lengths)
        states = []
        for i, layer in enumerate(self.layers):
            p = np.random.random()
            if not self.training or p > self.layerdrop:
                x = layer(x, keep)
            states.append(x)
        return x, states


@graphfix.target
def encoder():
    torch.manual_seed(31)
    enc = Encoder().eval().requires_grad_(False)
    yield graphfix.Call(enc, torch.randn(2, 6, 4), lengths=torch.tensor([6, 3]))
    yield graphfix.Call(enc, torch.randn(1, 5, 4))
