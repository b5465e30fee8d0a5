"""A flow matching scheduler whose step reads its sigmas as Python floats."""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Iterator, Optional, Tuple, Union

import torch
from torch import nn

import graphfix


@dataclass
class SchedulerConfig:
    num_train_timesteps: int = 1000
    shift: float = 3.0
    base_image_seq_len: int = 16
    max_image_seq_len: int = 256
    base_shift: float = 0.5
    max_shift: float = 1.15


@dataclass
class SchedulerOutput:
    prev_sample: torch.Tensor


def calculate_mu(seq_len: int, cfg: SchedulerConfig) -> float:
    m = (cfg.max_shift - cfg.base_shift) / (cfg.max_image_seq_len - cfg.base_image_seq_len)
    b = cfg.base_shift - m * cfg.base_image_seq_len
    return seq_len * m + b


class FlowMatchScheduler:
    """Euler steps along the straight path from noise to data."""

    order = 1

    def __init__(self, config: Optional[SchedulerConfig] = None, steps: int = 8):
        self.config = config or SchedulerConfig()
        sigmas = torch.linspace(1.0, 1.0 / self.config.num_train_timesteps, steps)
        self.sigmas = torch.cat([sigmas, torch.zeros(1)])
        self.timesteps = sigmas * self.config.num_train_timesteps

    def time_shift(self, mu: float, sigma: torch.Tensor) -> float:
        s = sigma.item()
        return math.exp(mu) / (math.exp(mu) + (1 / s - 1)) if s > 0 else 0.0

    def step(
        self,
        model_output: torch.Tensor,
        index: int,
        sample: torch.Tensor,
        return_dict: bool = True,
    ) -> Union[SchedulerOutput, Tuple]:
        mu = calculate_mu(sample.shape[-1] * sample.shape[-2], self.config)
        # upcast, as the difference of two sigmas is small
        sample = sample.to(torch.float32)
        sigma = self.time_shift(mu, self.sigmas[index])
        sigma_next = self.time_shift(mu, self.sigmas[index + 1])

        prev_sample = sample + (sigma_next - sigma) * model_output
        prev_sample = prev_sample.to(model_output.dtype)
        if not return_dict:
            return (prev_sample,)
        return SchedulerOutput(prev_sample=prev_sample)


class Denoiser(nn.Module):
    def __init__(self, channels: int = 4) -> None:
        super().__init__()
        self.net = nn.Conv2d(channels, channels, 3, padding=1)
        self.scheduler = FlowMatchScheduler()

    def forward(self, latents: torch.Tensor, start: int = 0) -> torch.Tensor:
        for i in range(start, start + 2):
            v = self.net(latents)
            latents = self.scheduler.step(v, i, latents, return_dict=False)[0]
        return latents


@graphfix.target
def flow_shift() -> Iterator[graphfix.Call]:
    """Two steps at the start, and the last two."""
    torch.manual_seed(0)
    model = Denoiser().eval()
    yield graphfix.Call(model, torch.randn(1, 4, 8, 8))
    yield graphfix.Call(model, torch.randn(2, 4, 4, 8), start=6)
