"""Peak-limit a waveform only when it clips."""
import torch

import graphfix


def limit(wav):
    peak = wav.abs().max()
    if peak > 1.0:
        wav = wav / peak
    return wav


@graphfix.target
def scale_if_loud():
    torch.manual_seed(0)
    yield graphfix.Call(limit, torch.rand(2, 40) * 0.5)
    yield graphfix.Call(limit, torch.randn(1, 60) * 4)
