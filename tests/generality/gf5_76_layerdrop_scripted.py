"""Speech encoder with LayerDrop: the draw is made in eval too, TorchScript leftovers."""
import numpy as np
import torch
from torch import nn

import graphfix


@torch.jit.script
def bias_gelu(x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    y = x + bias
    return 0.5 * y * (1.0 + torch.tanh(0.79788456 * y * (1.0 + 0.044715 * y * y)))


class Layer(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.norm = nn.LayerNorm(d)
        self.up = nn.Linear(d, 2 * d, bias=False)
        self.up_bias = nn.Parameter(0.1 * torch.randn(2 * d))
        self.down = nn.Linear(2 * d, d)

    def forward(self, x):
        return x + self.down(bias_gelu(self.up(self.norm(x)), self.up_bias))


class PosConv(nn.Conv1d):
    def forward(self, x):
        return x + super().forward(x.mT).mT


class Encoder(nn.Module):
    def __init__(self, d=8, depth=3, layerdrop=0.2):
        super().__init__()
        self.pos_conv = PosConv(d, d, 3, padding=1, groups=2)
        self.layers = nn.ModuleList([Layer(d) for _ in range(depth)])
        self.layerdrop = layerdrop

    def forward(self, x, return_all=False):
        if not torch.jit.is_scripting():
            assert x.dim() == 3, "expected (B, T, C)"
        x = self.pos_conv(x)
        states = []
        for layer in self.layers:
            drop_p = np.random.random()
            if not self.training or (drop_p > self.layerdrop):
                x = layer(x)
            states.append(x)
        return (x, states) if return_all else x


@graphfix.target
def layerdrop_encoder():
    torch.manual_seed(91)
    enc = Encoder().eval().requires_grad_(False)
    yield graphfix.Call(enc, torch.randn(1, 7, 8))
    yield graphfix.Call(enc, torch.randn(2, 4, 8), return_all=True)
