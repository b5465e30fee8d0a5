"""TTS pitch predictor: the mean voiced pitch is a Python float for fill_ and for a debug f-string."""
import logging

import torch
import torch.nn.functional as F

from graphfix import Call, target

LOG = logging.getLogger("fastpitch.data")


class PitchNormalizer:
    """keeps corpus mean/std as 0-dim tensors (loaded from stats.pt)"""

    def __init__(self, mean=212.5, std=61.25):
        self.stats = {"mean": torch.tensor(mean), "std": torch.tensor(std)}

    def __call__(self, f0, *, average=True):
        mu = float(self.stats["mean"])
        sigma = float(self.stats["std"])
        z = (f0 - mu) / sigma
        if average:
            z = F.avg_pool1d(z.unsqueeze(1), 2).squeeze(1)
        bias = torch.empty_like(z).fill_(z.mean().item())
        LOG.debug(f"pitch: mean={mu:.1f} std={sigma:.1f} frames={z.shape[-1]}")
        return z - bias


@target
def pitch():
    norm = PitchNormalizer()
    yield Call(norm, torch.linspace(80, 400, 24).view(2, 12))
    yield Call(norm, torch.linspace(300, 90, 15).view(3, 5), average=False)
