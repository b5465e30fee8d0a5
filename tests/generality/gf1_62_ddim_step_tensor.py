"""A DDIM denoiser whose scheduler takes the timestep as a 0-d tensor.

The sampler hands ``timesteps[i]`` around, which is a tensor, and the scheduler
turns it into an index for its tables and into numbers for ``math.sqrt``.
"""
import math
from typing import Iterator, Optional

import torch
from torch import Tensor, nn

import graphfix


class DDIMScheduler:
    def __init__(self, num_train_timesteps: int = 100, beta_start: float = 1e-4, beta_end: float = 0.02):
        betas = torch.linspace(beta_start**0.5, beta_end**0.5, num_train_timesteps) ** 2
        self.alphas_cumprod = torch.cumprod(1.0 - betas, dim=0)
        self.num_train_timesteps = num_train_timesteps
        self.final_alpha_cumprod = 1.0

    def step(self, model_output: Tensor, timestep: Tensor, sample: Tensor, stride: int, eta: float = 0.0,
             noise: Optional[Tensor] = None) -> Tensor:
        t = int(timestep)
        prev_t = t - stride
        a_t = self.alphas_cumprod[t].item()
        a_prev = self.alphas_cumprod[prev_t].item() if prev_t >= 0 else self.final_alpha_cumprod
        # predicted x_0, eq. (12)
        x0 = (sample - math.sqrt(1 - a_t) * model_output) / math.sqrt(a_t)
        x0 = x0.clamp(-1.0, 1.0)
        sigma = eta * math.sqrt((1 - a_prev) / (1 - a_t) * (1 - a_t / a_prev))
        direction = math.sqrt(max(1 - a_prev - sigma**2, 0.0)) * model_output
        prev = math.sqrt(a_prev) * x0 + direction
        if noise is not None:
            prev = prev + sigma * noise
        return prev


class TinyUNet(nn.Module):
    def __init__(self, channels: int = 4, emb: int = 16) -> None:
        super().__init__()
        self.emb = emb
        self.time = nn.Sequential(nn.Linear(emb, emb), nn.SiLU(), nn.Linear(emb, channels))
        self.body = nn.Conv2d(channels, channels, 3, padding=1)

    def timestep_embedding(self, t: Tensor, dim: int) -> Tensor:
        half = dim // 2
        freqs = torch.exp(-math.log(10000) * torch.arange(half) / half)
        args = float(t) * freqs
        return torch.cat([args.cos(), args.sin()])[None]

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        emb = self.time(self.timestep_embedding(t, self.emb))
        return self.body(x + emb[:, :, None, None])


class Denoiser(nn.Module):
    def __init__(self):
        super().__init__()
        self.unet = TinyUNet()
        self.scheduler = DDIMScheduler()

    def forward(self, latents: Tensor, timestep: Tensor, stride: int = 20, eta: float = 0.0, noise=None) -> Tensor:
        eps = self.unet(latents, timestep)
        return self.scheduler.step(eps, timestep, latents, stride, eta=eta, noise=noise)


@graphfix.target
def ddim_step() -> Iterator[graphfix.Call]:
    """One step in the middle, one last step, and one with noise."""
    torch.manual_seed(0)
    model = Denoiser().eval().requires_grad_(False)
    x = torch.randn(2, 4, 8, 8)
    yield graphfix.Call(model, x, torch.tensor(80))
    yield graphfix.Call(model, x, torch.tensor(10))
    yield graphfix.Call(model, x, torch.tensor(60), eta=0.5, noise=torch.randn_like(x))
