"""Audio: a nested function reads the loudest sample as a Python number and divides by it."""
from __future__ import annotations

import torch

import graphfix


def normaliser(floor: float = 1e-8):
    def peak_normalise(wav: torch.Tensor, *, headroom: float = 0.9) -> torch.Tensor:
        loudest = wav.abs().max().item()   # one number for the whole batch
        return wav / (loudest + floor) * headroom

    return peak_normalise


@graphfix.target
def peak():
    fn = normaliser()
    yield graphfix.Call(fn, torch.linspace(-0.5, 0.25, 32).reshape(2, 16))
    yield graphfix.Call(fn, torch.linspace(-3.0, 2.0, 60).reshape(3, 20), headroom=0.5)
