"""Backtracking: the first step that is good enough is returned out of the middle of the loop."""
import torch

import graphfix


def energy(x: torch.Tensor) -> torch.Tensor:
    return (x ** 2).sum() + torch.cos(3 * x).sum()


def backtrack(x: torch.Tensor, direction: torch.Tensor, *, tries: int = 3) -> torch.Tensor:
    base = energy(x)
    step = 1.0
    for _ in range(tries):
        candidate = x + step * direction
        if energy(candidate) < base:
            return candidate
        step *= 0.5
    return x


@graphfix.target
def search():
    x = torch.tensor([1.0, -2.0])
    yield graphfix.Call(backtrack, x, direction=-x)
    yield graphfix.Call(backtrack, torch.tensor([0.1, 0.2, 0.3]), direction=torch.tensor([9.0, 9.0, 9.0]), tries=2)
