"""Helpers that know no model."""
from typing import Optional

import torch


def sequence_mask(lengths: torch.Tensor, maxlen: Optional[int] = None) -> torch.Tensor:
    """(B,) -> (B, T), True inside."""
    if maxlen is None:
        maxlen = lengths.max().item()
    positions = torch.arange(maxlen, device=lengths.device)
    return positions[None, :] < lengths[:, None]
