"""Diffusion sampler: the denoising loop is wrapped in a tqdm bar with a postfix."""
import torch
from torch import nn
from tqdm import tqdm

import graphfix


class TinyEps(nn.Module):
    def __init__(self, dim=6):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(dim + 1, 16), nn.SiLU(), nn.Linear(16, dim))

    def forward(self, x, t):
        emb = t.expand(x.shape[0], 1)
        return self.net(torch.cat([x, emb], -1))


class EulerSampler:
    def __init__(self, model, steps=4):
        self.model, self.steps = model, steps
        self.sigmas = torch.linspace(1.0, 0.0, steps + 1)

    @torch.no_grad()
    def sample(self, x, progress=True):
        pbar = tqdm(range(self.steps), desc="euler", disable=not progress, leave=False)
        for i in pbar:
            s, s_next = self.sigmas[i], self.sigmas[i + 1]
            d = self.model(x, s)
            x = x + d * (s_next - s)
            pbar.set_postfix(step=i)
        return x


@graphfix.target
def sampling():
    torch.manual_seed(11)
    sampler = EulerSampler(TinyEps())
    yield graphfix.Call(sampler.sample, torch.randn(3, 6))
    yield graphfix.Call(sampler.sample, torch.randn(1, 6), progress=False)
