"""Langevin sampler with a hand-written progress bar and an optional callback."""

import sys
from typing import Callable, Iterator, Optional

import torch
from torch import nn

import graphfix


class ProgressBar:
    """The least progress bar there can be."""

    def __init__(self, total: int, width: int = 20, stream=None):
        self.total = total
        self.width = width
        self.done = 0
        self.stream = stream or sys.stderr

    def update(self, n: int = 1, **postfix) -> None:
        self.done += n
        filled = self.width * self.done // self.total
        bar = "#" * filled + "." * (self.width - filled)
        extra = " ".join(f"{k}={v:.3f}" for k, v in postfix.items())
        self.stream.write(f"\r[{bar}] {self.done}/{self.total} {extra}")
        self.stream.flush()


class EnergyModel(nn.Module):
    def __init__(self, dim: int = 2):
        super().__init__()
        self.score = nn.Sequential(nn.Linear(dim, 16), nn.SiLU(), nn.Linear(16, dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.score(x) - x


def report(step: int, x: torch.Tensor) -> None:
    if step % 2 == 0:
        print("\nstep", step, "|x| =", x.norm(dim=-1).mean())


class LangevinSampler(nn.Module):
    def __init__(self, model: EnergyModel, steps: int = 4, step_size: float = 0.05, show: bool = True):
        super().__init__()
        self.model, self.steps, self.step_size, self.show = model, steps, step_size, show

    def forward(self, x: torch.Tensor, noise: torch.Tensor,
                callback: Optional[Callable[[int, torch.Tensor], None]] = None) -> torch.Tensor:
        bar = ProgressBar(self.steps) if self.show else None
        for i in range(self.steps):
            grad = self.model(x)
            x = x + self.step_size * grad + (2 * self.step_size) ** 0.5 * noise[i]
            if bar is not None:
                bar.update(1, grad=grad.norm().item())
            if callback is not None:
                callback(i, x)
        return x


@graphfix.target
def langevin() -> Iterator[graphfix.Call]:
    """With a callback and without one."""
    torch.manual_seed(0)
    sampler = LangevinSampler(EnergyModel()).eval().requires_grad_(False)
    yield graphfix.Call(sampler, torch.randn(6, 2), torch.randn(4, 6, 2), callback=report)
    yield graphfix.Call(sampler, torch.randn(3, 2), torch.randn(4, 3, 2))
