"""A DDIM step with dynamic thresholding that only acts when the sample clips."""
from dataclasses import dataclass
from typing import Iterator

import torch
from torch import Tensor, nn

import graphfix


@dataclass
class DDIMConfig:
    steps: int = 20
    beta_start: float = 0.001
    beta_end: float = 0.2
    clip_sample_range: float = 1.0
    dynamic_ratio: float = 0.9
    sample_max_value: float = 2.5
    set_alpha_to_one: bool = True


class DDIM:
    def __init__(self, cfg: DDIMConfig):
        self.cfg = cfg
        betas = torch.linspace(cfg.beta_start ** 0.5, cfg.beta_end ** 0.5, cfg.steps) ** 2
        self.alphas_cumprod = torch.cumprod(1.0 - betas, 0)
        self.final_alpha_cumprod = torch.tensor(1.0) if cfg.set_alpha_to_one else self.alphas_cumprod[0]

    def _threshold_sample(self, sample: Tensor) -> Tensor:
        """Imagen's dynamic thresholding."""
        if sample.abs().max() <= self.cfg.clip_sample_range:
            return sample
        shape = sample.shape
        flat = sample.reshape(shape[0], -1)
        s = torch.quantile(flat.abs(), self.cfg.dynamic_ratio, dim=1)
        s = torch.clamp(s, min=1, max=self.cfg.sample_max_value).unsqueeze(1)
        flat = torch.clamp(flat, -s, s) / s
        return flat.reshape(*shape)

    def _get_variance(self, timestep: Tensor, prev_timestep: Tensor) -> Tensor:
        alpha_prod_t = self.alphas_cumprod[timestep]
        alpha_prod_t_prev = self.alphas_cumprod[prev_timestep] if prev_timestep >= 0 else self.final_alpha_cumprod
        return (1 - alpha_prod_t_prev) / (1 - alpha_prod_t) * (1 - alpha_prod_t / alpha_prod_t_prev)

    def step(self, eps: Tensor, timestep: Tensor, sample: Tensor, eta: float = 0.0, noise=None) -> Tensor:
        prev_timestep = timestep - 2
        # 1. alphas
        a_t = self.alphas_cumprod[timestep]
        a_prev = self.alphas_cumprod[prev_timestep] if prev_timestep >= 0 else self.final_alpha_cumprod
        # 2. "predicted x_0"
        x0 = (sample - (1 - a_t) ** 0.5 * eps) / a_t ** 0.5
        x0 = self._threshold_sample(x0)
        # 3. direction pointing to x_t
        std = eta * self._get_variance(timestep, prev_timestep).sqrt()
        direction = (1 - a_prev - std ** 2).sqrt() * eps
        prev = a_prev ** 0.5 * x0 + direction
        if eta > 0:
            prev = prev + std * noise
        return prev


class Sampler(nn.Module):
    def __init__(self, cfg: DDIMConfig):
        super().__init__()
        self.unet = nn.Conv2d(3, 3, 3, padding=1)
        self.scheduler = DDIM(cfg)

    def forward(self, x: Tensor, t: Tensor, eta: float = 0.0, noise=None):
        return self.scheduler.step(self.unet(x), t, x, eta=eta, noise=noise)


@graphfix.target
def dynamic_threshold() -> Iterator[graphfix.Call]:
    """A loud sample in the middle, a soft one at the end."""
    torch.manual_seed(0)
    model = Sampler(DDIMConfig()).eval()
    yield graphfix.Call(model, 2 * torch.randn(2, 3, 6, 6), torch.tensor(12), eta=0.5, noise=torch.randn(2, 3, 6, 6))
    yield graphfix.Call(model, 0.1 * torch.rand(2, 3, 6, 6), torch.tensor(1))
    yield graphfix.Call(model, 2 * torch.randn(1, 3, 4, 4), torch.tensor(3))
