"""Loudness normalisation of a waveform, with decibels worked out by math.log10."""
import math
from typing import Iterator

import torch
from torch import nn

import graphfix

EPS = 1e-8


def rms_db(wav: torch.Tensor) -> float:
    """Level of the whole clip in dBFS."""
    rms = wav.pow(2).mean().sqrt().item()
    return 20.0 * math.log10(max(rms, EPS))


def db_to_gain(db: float) -> float:
    return 10 ** (db / 20)


class Preemphasis(nn.Module):
    def __init__(self, coef=0.97):
        super().__init__()
        self.register_buffer("flipped_filter", torch.tensor([[[-coef, 1.0]]]))

    def forward(self, x):
        x = nn.functional.pad(x.unsqueeze(1), (1, 0), "reflect")
        return nn.functional.conv1d(x, self.flipped_filter).squeeze(1)


class LoudnessFrontend(nn.Module):
    """Bring a batch to a target level and hold its peak below full scale."""

    def __init__(self, target_db: float = -23.0, max_gain_db: float = 30.0, ceiling: float = 0.99):
        super().__init__()
        self.target_db = target_db
        self.max_gain_db = max_gain_db
        self.ceiling = ceiling
        self.preemph = Preemphasis()

    def forward(self, wav: torch.Tensor) -> torch.Tensor:
        level = rms_db(wav)
        gain_db = min(self.target_db - level, self.max_gain_db)
        wav = wav * db_to_gain(gain_db)

        # peak protection
        peak = float(wav.abs().max())
        scale = min(1.0, self.ceiling / (peak + EPS))
        return self.preemph(wav * scale)


@graphfix.target
def loudness_normalise() -> Iterator[graphfix.Call]:
    """Quiet noise, a loud click track, silence."""
    torch.manual_seed(0)
    model = LoudnessFrontend().eval()
    yield graphfix.Call(model, torch.randn(2, 400) * 0.01)
    clicks = torch.zeros(1, 300)
    clicks[:, ::100] = 5.0
    yield graphfix.Call(model, clicks)
    yield graphfix.Call(model, torch.zeros(2, 200))
