"""A residual MLP mixer with a debug switch that prints activation statistics."""

import sys
from typing import Iterator

import torch
import torch.nn as nn

import graphfix


def describe(name: str, x: torch.Tensor) -> None:
    """Shape, mean and spread of a tensor, one line on stdout."""
    print(f"[{name:>10s}] shape={tuple(x.shape)} mean={x.mean():.4f} std={x.std():.4f}")


class MixerBlock(nn.Module):
    def __init__(self, tokens: int, dim: int, index: int, verbose: bool = False):
        super().__init__()
        self.index = index
        self.verbose = verbose
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.token_mix = nn.Linear(tokens, tokens)
        self.channel_mix = nn.Sequential(
            nn.Linear(dim, 2 * dim),
            nn.GELU(),
            nn.Linear(2 * dim, dim),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm1(x).transpose(1, 2)
        x = x + self.token_mix(y).transpose(1, 2)
        if self.verbose:
            describe(f"token {self.index}", x)
        x = x + self.channel_mix(self.norm2(x))
        if self.verbose:
            describe(f"channel {self.index}", x)
        return x


class Mixer(nn.Module):
    def __init__(self, tokens: int = 6, dim: int = 8, depth: int = 2, classes: int = 3, verbose: bool = True):
        super().__init__()
        self.embed = nn.Linear(4, dim)
        self.blocks = nn.ModuleList([MixerBlock(tokens, dim, i, verbose) for i in range(depth)])
        self.head = nn.Linear(dim, classes)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        x = self.embed(patches)
        for blk in self.blocks:
            x = blk(x)
        logits = self.head(x.mean(dim=1))
        print("logits range:", logits.min().item(), "..", logits.max().item(), file=sys.stderr, flush=True)
        return logits


@graphfix.target
def mixer_stats() -> Iterator[graphfix.Call]:
    """Two batch sizes."""
    torch.manual_seed(0)
    model = Mixer().eval().requires_grad_(False)
    yield graphfix.Call(model, torch.randn(2, 6, 4))
    yield graphfix.Call(model, torch.randn(5, 6, 4))
