"""WaveNet gate still scripted from the TorchScript days, next to is_scripting checks."""
import torch
from torch import nn

import graphfix


@torch.jit.script
def fused_gate(a: torch.Tensor, b: torch.Tensor, n_channels: int) -> torch.Tensor:
    z = a + b
    t = torch.tanh(z[:, :n_channels])
    s = torch.sigmoid(z[:, n_channels:])
    return t * s


class WN(nn.Module):
    def __init__(self, ch=4, layers=2):
        super().__init__()
        self.ch = ch
        self.cond = nn.Conv1d(3, 2 * ch * layers, 1)
        self.ins = nn.ModuleList(nn.Conv1d(ch, 2 * ch, 3, padding=1) for _ in range(layers))
        self.skips = nn.ModuleList(nn.Conv1d(ch, ch, 1) for _ in range(layers))

    def forward(self, x, g):
        g = self.cond(g)
        out = torch.zeros_like(x)
        if not torch.jit.is_scripting() and x.dim() != 3:
            raise ValueError("expected (B, C, T)")
        for i, (inp, skip) in enumerate(zip(self.ins, self.skips)):
            gi = g[:, 2 * self.ch * i: 2 * self.ch * (i + 1)]
            acts = fused_gate(inp(x), gi, self.ch)
            x = x + acts
            out = out + skip(acts)
        return out


@graphfix.target
def wavenet_gate():
    torch.manual_seed(91)
    wn = WN().eval().requires_grad_(False)
    yield graphfix.Call(wn, torch.randn(1, 4, 10), torch.randn(1, 3, 1))
    yield graphfix.Call(wn, torch.randn(2, 4, 6), g=torch.randn(2, 3, 6))
