"""Pitch predictor of a FastSpeech2-style variance adaptor: stats and bin edges sit in buffers."""
from typing import Optional

import torch
import torch.nn as nn

import graphfix


class PitchAdaptor(nn.Module):
    def __init__(self, hidden: int = 8, n_bins: int = 16, f0_mean=180.0, f0_std=45.0):
        super().__init__()
        self.register_buffer("stats", torch.tensor([f0_mean, f0_std, 60.0, 500.0]))
        self.predictor = nn.Sequential(
            nn.Conv1d(hidden, hidden, 3, padding=1), nn.ReLU(), nn.Conv1d(hidden, 1, 1))
        self.pitch_embedding = nn.Embedding(n_bins, hidden)
        self.n_bins = n_bins

    def get_pitch_embedding(self, pred, control):
        mean, std, lo, hi = self.stats.tolist()
        f0 = (pred * control) * std + mean
        f0 = torch.clamp(f0, min=lo, max=hi)
        edges = torch.linspace(0.0, 1.0, self.n_bins - 1, device=f0.device)
        unit = (f0 - lo) / (hi - lo)
        return f0, self.pitch_embedding(torch.bucketize(unit, edges))

    def forward(self, x, mask: Optional[torch.Tensor] = None, p_control: float = 1.0):
        pred = self.predictor(x.transpose(1, 2)).squeeze(1)
        if mask is not None:
            pred = pred.masked_fill(mask, 0.0)
        f0, emb = self.get_pitch_embedding(pred, p_control)
        return x + emb, f0


@graphfix.target
def f0_stats_denorm():
    torch.manual_seed(4)
    net = PitchAdaptor().eval().requires_grad_(False)
    yield graphfix.Call(net, torch.randn(2, 7, 8))
    yield graphfix.Call(net, torch.randn(1, 5, 8) * 2,
                        mask=torch.tensor([[False, False, False, True, True]]), p_control=1.3)
