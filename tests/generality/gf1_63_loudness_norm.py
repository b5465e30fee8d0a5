"""Loudness normalisation front end for a speech tagger.

Measures the mean power in decibel, applies a bounded gain, limits the peak,
and feeds log-energy frames to a GRU-free tagger.
"""

import math
from typing import Iterator

import torch
import torch.nn.functional as F
from torch import nn

import graphfix

MIN_DB = -70.0


def rms_db(wav: torch.Tensor) -> float:
    """Mean power of the waveform in dBFS."""
    power = wav.pow(2).mean().item()
    if power <= 0:
        return MIN_DB
    return max(10 * math.log10(power), MIN_DB)


def db_to_amplitude(db: float) -> float:
    return 10.0 ** (db / 20.0)


class LoudnessNormalizer(nn.Module):
    """Bring a batch of clips to ``target_db``, the same gain for all."""

    def __init__(self, target_db: float = -23.0, max_gain_db: float = 30.0, ceiling: float = 0.95) -> None:
        super().__init__()
        self.target_db = target_db
        self.max_gain_db = max_gain_db
        self.ceiling = ceiling

    def forward(self, wav: torch.Tensor) -> torch.Tensor:
        gain_db = min(self.target_db - rms_db(wav), self.max_gain_db)
        wav = wav * db_to_amplitude(gain_db)
        peak = float(wav.abs().max())
        return wav * min(1.0, self.ceiling / (peak + 1e-9))


class Tagger(nn.Module):
    def __init__(self, frame: int = 64, hop: int = 32, dim: int = 16, tags: int = 6):
        super().__init__()
        self.frame, self.hop = frame, hop
        self.normalizer = LoudnessNormalizer()
        self.proj = nn.Linear(frame, dim)
        self.head = nn.Linear(dim, tags)

    def frames(self, wav: torch.Tensor) -> torch.Tensor:
        pad = (-(wav.shape[-1] - self.frame)) % self.hop
        return F.pad(wav, (0, pad)).unfold(-1, self.frame, self.hop)

    def forward(self, wav: torch.Tensor) -> torch.Tensor:
        wav = self.normalizer(wav)
        h = torch.tanh(self.proj(self.frames(wav)))
        return self.head(h.mean(dim=1)).sigmoid()


@graphfix.target
def loudness_tagger() -> Iterator[graphfix.Call]:
    """A soft clip, a loud one, and digital silence."""
    torch.manual_seed(0)
    model = Tagger().eval().requires_grad_(False)
    yield graphfix.Call(model, 0.01 * torch.randn(2, 400))
    yield graphfix.Call(model, 3.0 * torch.randn(1, 512))
    yield graphfix.Call(model, torch.zeros(1, 400))
