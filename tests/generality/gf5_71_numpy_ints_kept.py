"""Swin-ish drop-path schedule and window sizes kept as NumPy numbers."""
import numpy as np
import torch
from torch import nn

import graphfix


class WindowMixer(nn.Module):
    def __init__(self, dim=8, window=4, depth=3):
        super().__init__()
        self.window = np.int64(window)
        self.area = np.prod([window, window])
        self.scales = np.linspace(1.0, 0.5, depth)
        self.mix = nn.ModuleList(nn.Linear(int(self.area), int(self.area)) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)

    def windows(self, x):
        b, h, w, c = x.shape
        ws = self.window
        x = x.view(b, h // ws, ws, w // ws, ws, c).permute(0, 1, 3, 5, 2, 4)
        return x.reshape(-1, c, self.area)

    def forward(self, x):
        n = np.ceil(x.shape[1] / self.window).astype(int)
        y = self.windows(x)
        for s, lin in zip(self.scales, self.mix):
            y = y + np.sqrt(s) * torch.tanh(lin(y))
        return self.norm(y.transpose(1, 2)).mean(1) / n


@graphfix.target
def window_mixer():
    torch.manual_seed(81)
    m = WindowMixer().eval().requires_grad_(False)
    yield graphfix.Call(m, torch.randn(1, 8, 8, 8))
    yield graphfix.Call(m, torch.randn(2, 4, 12, 8))
