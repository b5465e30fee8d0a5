"""Adaptive Heun/Euler integrator for a neural ODE with step size control."""

from dataclasses import dataclass
from typing import Callable, Iterator

import torch
from torch import nn

import graphfix

VectorField = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass
class SolverOptions:
    rtol: float = 1e-2
    atol: float = 1e-3
    first_step: float = 0.1
    min_step: float = 1e-3
    max_steps: int = 200
    safety: float = 0.9


class AdaptiveHeun:
    def __init__(self, options: SolverOptions):
        self.opt = options

    def _error_ratio(self, low, high, y):
        tol = self.opt.atol + self.opt.rtol * torch.maximum(y.abs(), high.abs())
        return ((high - low) / tol).pow(2).mean().sqrt()

    def integrate(self, f: VectorField, y0: torch.Tensor, t0: torch.Tensor, t1: torch.Tensor) -> torch.Tensor:
        opt = self.opt
        t, y = t0, y0
        dt = torch.full_like(t0, opt.first_step)
        n = 0
        while t < t1 and n < opt.max_steps:
            dt = torch.minimum(dt, t1 - t)
            k1 = f(t, y)
            low = y + dt * k1
            k2 = f(t + dt, low)
            high = y + 0.5 * dt * (k1 + k2)
            err = self._error_ratio(low, high, y)
            if err <= 1 or dt <= opt.min_step:
                t = t + dt          # accept
                y = high
            factor = (opt.safety / err.clamp(min=1e-6).sqrt()).clamp(0.2, 5.0)
            dt = (dt * factor).clamp(min=opt.min_step)
            n += 1
        return y


class NeuralODE(nn.Module):
    def __init__(self, dim: int = 4, hidden: int = 16):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(dim + 1, hidden), nn.Tanh(), nn.Linear(hidden, dim))
        self.solver = AdaptiveHeun(SolverOptions())

    def field(self, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        tt = t.expand(y.shape[0], 1)
        return self.net(torch.cat([y, tt], dim=-1))

    def forward(self, y0: torch.Tensor, t1: torch.Tensor) -> torch.Tensor:
        return self.solver.integrate(self.field, y0, torch.zeros_like(t1), t1)


@graphfix.target
def neural_ode() -> Iterator[graphfix.Call]:
    """A short horizon, a longer one with larger states."""
    torch.manual_seed(0)
    model = NeuralODE().eval().requires_grad_(False)
    yield graphfix.Call(model, torch.randn(3, 4), torch.tensor(0.5))
    yield graphfix.Call(model, 2 * torch.randn(5, 4), torch.tensor(1.5))
