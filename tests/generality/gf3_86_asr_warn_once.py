"""ASR front end (log-mel + subsampling) with a warn-once helper in the repository's utils."""
import functools
import logging

import torch
from torch import nn

import graphfix

log = logging.getLogger("asr.frontend")


@functools.lru_cache(maxsize=None)
def warn_once(msg: str) -> None:
    log.warning(msg)


class Subsampling(nn.Module):
    def __init__(self, n_mels=8, dim=6, max_frames=20):
        super().__init__()
        self.max_frames = max_frames
        self.conv = nn.Conv1d(n_mels, dim, 3, stride=2, padding=1)

    def forward(self, mel, lengths=None):
        B, _, T = mel.shape
        if lengths is None:
            warn_once("no lengths given: treating every utterance as full length")
            lengths = torch.full((B,), T, dtype=torch.long)
        if T > self.max_frames:
            warn_once(f"{T} frames is longer than the {self.max_frames} seen in training")
        y = self.conv(torch.log(mel.clamp(min=1e-5))).transpose(1, 2)
        lengths = (lengths + 1) // 2
        keep = torch.arange(y.size(1))[None] < lengths[:, None]
        log.info("subsampled %d -> %d frames", T, y.size(1))
        return y * keep[..., None], lengths


@graphfix.target
def asr_warn_once():
    torch.manual_seed(5)
    m = Subsampling().eval().requires_grad_(False)
    yield graphfix.Call(m, torch.rand(2, 8, 24))
    yield graphfix.Call(m, torch.rand(3, 8, 11), lengths=torch.tensor([11, 7, 4]))
