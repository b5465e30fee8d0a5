"""Diffusion: the time step comes as a tensor and is made an int to look up two tables."""
from dataclasses import dataclass

import torch

import graphfix


@dataclass
class StepOutput:
    prev_sample: torch.Tensor
    pred_original: torch.Tensor


class Scheduler:
    def __init__(self, n: int = 10) -> None:
        betas = torch.linspace(1e-4, 2e-2, n)
        self.alphas_cumprod = torch.cumprod(1.0 - betas, dim=0)

    def step(self, model_output: torch.Tensor, timestep: torch.Tensor, sample: torch.Tensor) -> StepOutput:
        t = int(timestep)
        a_t = self.alphas_cumprod[t]
        pred = (sample - (1 - a_t).sqrt() * model_output) / a_t.sqrt()
        return StepOutput(prev_sample=0.5 * (sample + pred), pred_original=pred)


@graphfix.target
def step():
    s = Scheduler()
    yield graphfix.Call(s.step, torch.randn(2, 4), timestep=torch.tensor(7), sample=torch.randn(2, 4))
    yield graphfix.Call(s.step, torch.randn(3, 4), timestep=torch.tensor(2), sample=torch.randn(3, 4))
