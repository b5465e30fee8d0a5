"""Spectral feature extractor that builds its window and its filter bank with numpy.

Everything numpy does here depends on the configuration only.
"""
from dataclasses import dataclass
from typing import Iterator

import numpy as np
import torch
from torch import nn

import graphfix


@dataclass
class FeatureConfig:
    sample_rate: int = 8000
    n_fft: int = 64
    hop: int = 32
    n_mels: int = 10
    window: str = "kaiser"


def get_window(name: str, n: int) -> np.ndarray:
    if name == "kaiser":
        return np.kaiser(n, 8.0)
    elif name == "hann":
        return np.hanning(n)
    raise ValueError(f"unknown window {name!r}")


def mel_filterbank(cfg: FeatureConfig) -> np.ndarray:
    hz = np.linspace(0, cfg.sample_rate / 2, cfg.n_fft // 2 + 1)
    mel_max = 2595.0 * np.log10(1 + cfg.sample_rate / 2 / 700.0)
    pts = 700.0 * (10 ** (np.linspace(0, mel_max, cfg.n_mels + 2) / 2595.0) - 1)
    fb = np.zeros((cfg.n_mels, len(hz)))
    for m in range(cfg.n_mels):
        fb[m] = np.interp(hz, pts[m : m + 3], [0.0, 1.0, 0.0])
    return fb


class MelEncoder(nn.Module):
    def __init__(self, cfg: FeatureConfig, dim: int = 6):
        super().__init__()
        self.cfg = cfg
        self.proj = nn.Linear(cfg.n_mels, dim)

    def spectrogram(self, wav: torch.Tensor) -> torch.Tensor:
        window = torch.from_numpy(get_window(self.cfg.window, self.cfg.n_fft)).to(wav.dtype)
        frames = wav.unfold(-1, self.cfg.n_fft, self.cfg.hop) * window
        return torch.fft.rfft(frames).abs().square()

    def forward(self, wav: torch.Tensor) -> torch.Tensor:
        spec = self.spectrogram(wav)
        fb = torch.as_tensor(mel_filterbank(self.cfg), dtype=spec.dtype)
        mel = torch.log(spec @ fb.T + 1e-6)
        return self.proj(mel)


@graphfix.target
def mel_encoder() -> Iterator[graphfix.Call]:
    """Two clip lengths."""
    torch.manual_seed(0)
    model = MelEncoder(FeatureConfig()).eval().requires_grad_(False)
    yield graphfix.Call(model, torch.randn(2, 256))
    yield graphfix.Call(model, torch.randn(1, 320))
