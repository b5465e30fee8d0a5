"""A named progress bar shows the loss of every step beside it."""
import torch
from tqdm import trange

import graphfix


def refine(x: torch.Tensor, target: torch.Tensor, steps: int = 3) -> torch.Tensor:
    progress = trange(steps, disable=True, desc="refine")
    for i in progress:
        gap = target - x
        x = x + gap / (i + 2)
        progress.set_postfix(gap=gap.abs().max())
    return x


@graphfix.target
def refining():
    yield graphfix.Call(refine, torch.zeros(3), target=torch.ones(3))
    yield graphfix.Call(refine, torch.zeros(2, 2), torch.ones(2, 2), steps=2)
