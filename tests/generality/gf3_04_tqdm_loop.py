"""Diffusion sampling under a progress bar with keyword arguments and an enumerate around it."""
import torch
from torch import nn
from tqdm.auto import tqdm

import graphfix


class Sampler(nn.Module):
    def __init__(self, steps=3):
        super().__init__()
        self.eps = nn.Linear(4, 4)
        self.sigmas = [1.0 / (i + 1) for i in range(steps)]

    def forward(self, x, quiet=True):
        for i, sigma in enumerate(tqdm(self.sigmas, desc="sampling", leave=False, disable=quiet)):
            x = x - sigma * self.eps(x) + i
        return x


@graphfix.target
def sampling():
    s = Sampler().requires_grad_(False)
    yield graphfix.Call(s, torch.randn(2, 4))
    yield graphfix.Call(s, x=torch.randn(3, 4))
