"""Gradient-free planner (CEM on a toy model) with trainer-style callbacks."""
from typing import Callable, Sequence

import torch
import graphfix


class PrintBest:
    def __init__(self, every: int = 1):
        self.every = every
        self.seen = 0

    def __call__(self, step: int, mean: torch.Tensor, best: torch.Tensor) -> None:
        self.seen += 1
        if step % self.every == 0:
            print(f"cem step {step}: best={best:.3f} mean[0]={mean[0]}")


def reward(actions: torch.Tensor, goal: torch.Tensor) -> torch.Tensor:
    return -(actions.cumsum(-1) - goal).abs().mean(-1)


def cem(noise: torch.Tensor, goal: torch.Tensor, elite: int = 3,
        callbacks: Sequence[Callable] = ()) -> torch.Tensor:
    horizon = noise.size(-1)
    mean, std = torch.zeros(horizon), torch.ones(horizon)
    for step, eps in enumerate(noise):
        cand = mean + std * eps
        score = reward(cand, goal)
        top = score.topk(elite).indices
        mean, std = cand[top].mean(0), cand[top].std(0) + 1e-3
        for cb in callbacks:
            cb(step, mean, best=score.max())
    return mean


@graphfix.target
def cem_planner():
    torch.manual_seed(12)
    yield graphfix.Call(cem, torch.randn(3, 10, 4), torch.tensor(1.0), callbacks=[PrintBest(every=2)])
    yield graphfix.Call(cem, torch.randn(2, 6, 5), torch.linspace(0, 1, 5), elite=2)
