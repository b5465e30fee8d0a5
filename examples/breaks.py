"""One small break of each family that graphfix repairs: `graphfix apply examples/breaks.py --diff`."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import torch
from tqdm import tqdm

import graphfix

logger = logging.getLogger(__name__)


def fill_with_maximum(x: torch.Tensor) -> torch.Tensor:
    """GF101: a Python number between two tensors."""
    peak = torch.empty_like(x)
    peak.fill_(x.abs().max().item())
    return x / peak


def silence_infinities(x: torch.Tensor) -> torch.Tensor:
    """GF201: a question that the masked store answers itself."""
    x = x * 2
    if torch.isinf(x).any():
        logger.warning("infinite values are set to zero")
        x[torch.isinf(x)] = 0.0
    return x.sum()


def check_range(token: torch.Tensor, vocabulary: int) -> torch.Tensor:
    """GF202: a check that only speaks."""
    if (token >= vocabulary).any():
        logger.error("token %s is out of range", token.max().item())
    return torch.nn.functional.one_hot(token.clamp(max=vocabulary - 1), vocabulary).float()


def step_by_step(x: torch.Tensor, steps: int) -> torch.Tensor:
    """GF301 and GF302: a progress bar and a print."""
    for step in tqdm(range(steps), disable=True):
        x = torch.sin(x) + step
    print("done after", steps)
    return x * 2


@graphfix.target
def scalar() -> Iterator[graphfix.Call]:
    for count in (4, 7):
        yield graphfix.Call(fill_with_maximum, torch.randn(count))


@graphfix.target
def masked_store() -> Iterator[graphfix.Call]:
    yield graphfix.Call(silence_infinities, torch.randn(4))
    yield graphfix.Call(silence_infinities, torch.tensor([1.0, float("inf")]))


@graphfix.target
def check() -> Iterator[graphfix.Call]:
    yield graphfix.Call(check_range, torch.arange(5), vocabulary=8)
    yield graphfix.Call(check_range, torch.arange(9), vocabulary=8)


@graphfix.target
def progress() -> Iterator[graphfix.Call]:
    for count in (4, 7):
        yield graphfix.Call(step_by_step, torch.randn(count), steps=2)
