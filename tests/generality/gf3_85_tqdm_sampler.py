"""Rectified-flow TTS sampler with a progress bar and a verbose switch."""
import torch
from torch import nn
from tqdm import tqdm

import graphfix


class FlowDecoder(nn.Module):
    def __init__(self, n_mels=5, cond_dim=3):
        super().__init__()
        self.estimator = nn.Sequential(
            nn.Linear(n_mels + cond_dim + 1, 16), nn.Mish(), nn.Linear(16, n_mels))

    def velocity(self, x, mu, t):
        t = t.expand(*x.shape[:-1], 1)
        return self.estimator(torch.cat([x, mu, t], dim=-1))

    @torch.no_grad()
    def forward(self, z, mu, n_timesteps: int = 4, cfg: float = 0.7, verbose: bool = True):
        t_span = torch.linspace(0, 1, n_timesteps + 1, device=z.device)
        x = z
        bar = tqdm(range(n_timesteps), desc="flow", total=n_timesteps, disable=not verbose)
        for i in bar:
            dt = t_span[i + 1] - t_span[i]
            cond = self.velocity(x, mu, t_span[i])
            uncond = self.velocity(x, torch.zeros_like(mu), t_span[i])
            x = x + dt * ((1 + cfg) * cond - cfg * uncond)
            if verbose:
                bar.set_postfix(norm=f"{x.norm().item():.3f}")
        return x


@graphfix.target
def tqdm_sampler():
    torch.manual_seed(4)
    dec = FlowDecoder().eval().requires_grad_(False)
    yield graphfix.Call(dec, torch.randn(1, 6, 5), torch.randn(1, 6, 3))
    yield graphfix.Call(dec, torch.randn(2, 4, 5), mu=torch.randn(2, 4, 3), n_timesteps=2, verbose=False)
