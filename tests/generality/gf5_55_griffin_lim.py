"""Griffin-Lim phase recovery with numpy angles, in an inference_mode block."""
import math
from typing import Iterator, Optional

import numpy as np
import torch
from torch import Tensor, nn

import graphfix


def mel_filterbank(n_mels: int, n_fft: int, sr: int = 8000) -> np.ndarray:
    """A plain triangular filterbank (HTK mel)."""
    n_bins = n_fft // 2 + 1
    to_mel = lambda f: 2595.0 * np.log10(1.0 + f / 700.0)
    pts = 700.0 * (10 ** (np.linspace(to_mel(0.0), to_mel(sr / 2), n_mels + 2) / 2595.0) - 1)
    freqs = np.linspace(0, sr / 2, n_bins)
    fb = np.zeros((n_mels, n_bins), dtype=np.float32)
    for m in range(n_mels):
        lo, c, hi = pts[m], pts[m + 1], pts[m + 2]
        fb[m] = np.maximum(0, np.minimum((freqs - lo) / (c - lo), (hi - freqs) / (hi - c)))
    return fb


class GriffinLim(nn.Module):
    def __init__(self, n_fft: int = 32, hop: int = 8, n_mels: int = 10, n_iter: int = 3, power: float = 1.2):
        super().__init__()
        self.n_fft, self.hop, self.n_iter, self.power = n_fft, hop, n_iter, power
        fb = torch.from_numpy(mel_filterbank(n_mels, n_fft))
        self.register_buffer("inv_mel", torch.linalg.pinv(fb))
        self.register_buffer("window", torch.hann_window(n_fft))
        self.rng = np.random.RandomState(1234)

    def _stft(self, y: Tensor) -> Tensor:
        return torch.stft(y, self.n_fft, self.hop, window=self.window, return_complex=True)

    def _istft(self, spec: Tensor, length: int) -> Tensor:
        return torch.istft(spec, self.n_fft, self.hop, window=self.window, length=length)

    def forward(self, mel: Tensor, length: Optional[int] = None, random_phase: bool = False) -> Tensor:
        mag = (self.inv_mel @ mel).clamp(min=1e-5) ** self.power
        length = length or (mag.shape[-1] - 1) * self.hop
        with torch.inference_mode():
            if random_phase:
                # the same start for every item of the batch
                state = self.rng.get_state()
                angles = np.exp(2j * np.pi * self.rng.rand(*mag.shape[-2:])).astype(np.complex64)
                self.rng.set_state(state)
                phase = torch.from_numpy(angles).expand(mag.shape)
            else:
                phase = torch.ones_like(mag).to(torch.complex64)
            y = self._istft(mag * phase, length)
            for _ in range(self.n_iter):
                est = self._stft(y)
                y = self._istft(mag * est / est.abs().clamp(min=1e-8), length)
        return y.clone() / max(1.0, math.sqrt(self.n_fft) / 4)


@graphfix.target
def griffin_lim() -> Iterator[graphfix.Call]:
    """Zero phase, then random phase over a batch."""
    torch.manual_seed(0)
    vocoder = GriffinLim().eval()
    yield graphfix.Call(vocoder, torch.rand(1, 10, 12))
    yield graphfix.Call(vocoder, torch.rand(2, 10, 9), random_phase=True)
