"""LLM decoding: the cache position tensor becomes an int to slice the rotary table."""
from __future__ import annotations
import torch
from torch import nn
import graphfix


def rotate(q: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    a, b = q.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


class RotaryTable(nn.Module):
    def __init__(self, head_dim: int = 8, max_positions: int = 32, theta: float = 1e4):
        super().__init__()
        inv = theta ** -(torch.arange(0, head_dim, 2).float() / head_dim)
        ang = torch.outer(torch.arange(max_positions).float(), inv)
        self.register_buffer("cos_cached", ang.cos())
        self.register_buffer("sin_cached", ang.sin())

    def forward(self, q: torch.Tensor, cache_position: torch.Tensor) -> torch.Tensor:
        seq_len = q.shape[-2]
        start = int(cache_position[0])      # first new token
        end = start + seq_len
        cos, sin = self.cos_cached[start:end], self.sin_cached[start:end]
        return rotate(q, cos, sin)


@graphfix.target
def rope():
    torch.manual_seed(3)
    tab = RotaryTable()
    yield graphfix.Call(tab, torch.randn(1, 2, 5, 8), torch.arange(5))
    yield graphfix.Call(tab, torch.randn(2, 2, 1, 8), cache_position=torch.tensor([17]))
    yield graphfix.Call(tab, torch.randn(1, 1, 3, 8), torch.arange(29, 32))
