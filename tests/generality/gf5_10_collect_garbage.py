"""GAN: the generator frees memory and collects garbage between its stages."""
import gc

import torch
from torch import nn

import graphfix


class TwoStage(nn.Module):
    def __init__(self):
        super().__init__()
        self.coarse, self.fine = nn.Linear(3, 6), nn.Linear(6, 6)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        rough = self.coarse(z).tanh()
        del z
        gc.collect()
        return self.fine(rough).sigmoid()


@graphfix.target
def generate():
    g = TwoStage().requires_grad_(False)
    yield graphfix.Call(g, torch.randn(2, 3))
    yield graphfix.Call(g, torch.randn(4, 3))
