"""Diffusion: classifier-free guidance whose scale, a Python float in a config, the caller lowers each step."""
from dataclasses import dataclass

import torch
from torch import nn

import graphfix


@dataclass(frozen=True)
class StepOptions:
    guidance: float
    eta: float = 0.0


class Denoiser(nn.Module):
    def __init__(self, ch: int = 4):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2 * ch, 8), nn.SiLU(), nn.Linear(8, ch))

    def forward(self, latents, prompt, options: StepOptions):
        cond = self.net(torch.cat([latents, prompt], dim=-1))
        uncond = self.net(torch.cat([latents, torch.zeros_like(prompt)], dim=-1))
        noise = torch.lerp(uncond, cond, options.guidance)
        return latents - noise * (1.0 - options.eta)


@graphfix.target
def denoise():
    torch.manual_seed(9)
    model = Denoiser().eval().requires_grad_(False)
    latents, prompt = torch.randn(2, 4), torch.randn(2, 4)
    for scale in (7.5, 6.25, 5.0, 3.5):
        yield graphfix.Call(model, latents, prompt, options=StepOptions(guidance=scale))
