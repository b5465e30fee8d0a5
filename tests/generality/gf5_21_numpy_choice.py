"""Vision: a crop offset is drawn by NumPy in every pass and used in training only."""
import numpy as np
import torch
from torch import nn

import graphfix


class MaybeJitter(nn.Module):
    def __init__(self, strength: float = 0.2):
        super().__init__()
        self.strength = strength

    def forward(self, img: torch.Tensor) -> torch.Tensor:
        factor = 1.0 + self.strength * np.random.uniform(-1, 1)
        if self.training:
            img = img * factor
        return img.clamp(0, 1)


@graphfix.target
def jitter():
    m = MaybeJitter().eval()
    yield graphfix.Call(m, torch.rand(1, 3, 3))
    yield graphfix.Call(m, torch.rand(2, 4, 3))
