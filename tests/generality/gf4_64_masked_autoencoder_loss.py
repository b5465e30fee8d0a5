"""Masked reconstruction of sensor tracks: loss and metrics at valid places only.

Lengths become a mask, masked steps are replaced by a learnt token, and the
errors are read out with boolean indexing.
"""
from typing import Dict, Iterator, Optional

import torch
import torch.nn.functional as F
from torch import nn

import graphfix


def lengths_to_mask(lengths: torch.Tensor, max_len: Optional[int] = None) -> torch.Tensor:
    max_len = max_len or int(lengths.max())
    return torch.arange(max_len, device=lengths.device)[None, :] < lengths[:, None]


class TrackAutoencoder(nn.Module):
    def __init__(self, channels: int = 3, hidden: int = 12):
        super().__init__()
        self.mask_token = nn.Parameter(torch.randn(channels))
        self.enc = nn.Conv1d(channels, hidden, 3, padding=1)
        self.dec = nn.Conv1d(hidden, channels, 3, padding=1)

    def reconstruct(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.relu(self.enc(x.transpose(1, 2)))
        return self.dec(h).transpose(1, 2)

    def forward(self, tracks: torch.Tensor, lengths: torch.Tensor, drop: torch.Tensor) -> Dict[str, torch.Tensor]:
        """
        tracks: (B, T, C); lengths: (B,); drop: (B, T) bool, steps to hide.
        """
        valid = lengths_to_mask(lengths, tracks.size(1))
        hidden_steps = drop & valid

        inp = tracks.clone()
        inp[hidden_steps] = self.mask_token
        inp[~valid] = 0.0
        recon = self.reconstruct(inp)

        loss = F.mse_loss(recon[hidden_steps], tracks[hidden_steps])
        # L1 over everything which is valid, per channel
        mae = (recon - tracks).abs()[valid].mean(dim=0)
        residual = torch.zeros_like(tracks)
        residual[valid] = recon[valid] - tracks[valid]
        return {"loss": loss, "mae": mae, "residual": residual}


@graphfix.target
def track_autoencoder() -> Iterator[graphfix.Call]:
    """Two batches with other lengths and other hidden steps."""
    torch.manual_seed(0)
    model = TrackAutoencoder().eval().requires_grad_(False)
    yield graphfix.Call(model, torch.randn(2, 10, 3), torch.tensor([10, 6]), torch.rand(2, 10) < 0.4)
    yield graphfix.Call(model, torch.randn(3, 8, 3), torch.tensor([2, 8, 5]), torch.rand(3, 8) < 0.7)
