"""NSF vocoder source: the total upsampling factor is an np.int64, frames become samples."""
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import graphfix


class SourceModule(nn.Module):
    def __init__(self, upsample_rates=(4, 2), sampling_rate=800, harmonic_num=2):
        super().__init__()
        self.upp = np.prod(upsample_rates)
        self.sampling_rate = sampling_rate
        self.harmonic_num = harmonic_num
        self.merge = nn.Linear(harmonic_num + 1, 1)

    def forward(self, f0: torch.Tensor, noise=None):
        f0_up = F.interpolate(f0[:, None], size=f0.size(1) * int(self.upp), mode="nearest")
        harmonics = torch.arange(1, self.harmonic_num + 2).view(1, -1, 1)
        phase = torch.cumsum(f0_up * harmonics / self.sampling_rate, dim=-1)
        sines = torch.sin(2 * math.pi * phase)
        n_win = int(np.ceil(f0_up.size(-1) / self.upp))       # = number of frames
        energy = sines.abs().mean(1).view(f0.size(0), n_win, -1).mean(-1)
        if noise is not None:
            sines = sines + 0.003 * noise
        source = torch.tanh(self.merge(sines.transpose(1, 2)))
        return source, energy


@graphfix.target
def nsf_upsample():
    torch.manual_seed(4)
    src = SourceModule().eval().requires_grad_(False)
    yield graphfix.Call(src, torch.rand(1, 5) * 60 + 80)
    yield graphfix.Call(src, torch.rand(2, 3) * 60, noise=torch.randn(2, 3, 24))
