"""Langevin-free ancestral sampler with a progress bar and a postfix."""
import torch
from torch import nn
from tqdm import tqdm

import graphfix


class Sampler(nn.Module):
    def __init__(self, dim=6, n=4):
        super().__init__()
        self.eps = nn.Sequential(nn.Linear(dim + 1, 16), nn.Tanh(), nn.Linear(16, dim))
        self.register_buffer("sigmas", torch.linspace(1.0, 0.05, n))

    def denoise(self, x, sigma):
        s = sigma.expand(x.shape[0], 1)
        return x - sigma * self.eps(torch.cat([x, s], dim=-1))

    @torch.no_grad()
    def forward(self, x, verbose=False):
        x = x * self.sigmas[0]
        pbar = tqdm(range(len(self.sigmas) - 1), desc="sampling", disable=not verbose)
        for i in pbar:
            den = self.denoise(x, self.sigmas[i])
            d = (x - den) / self.sigmas[i]
            x = x + d * (self.sigmas[i + 1] - self.sigmas[i])
            pbar.set_postfix(norm=f"{x.norm():.2f}")
        return x


@graphfix.target
def sampler():
    torch.manual_seed(50)
    net = Sampler().eval()
    yield graphfix.Call(net, torch.randn(3, 6), verbose=True)
    yield graphfix.Call(net, torch.randn(1, 6))
