"""TTS: the number of frames is what a predictor says; capture_scalar_outputs keeps it in the graph."""
import torch
from torch import nn

import graphfix


class DurationModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(8, 4)

    def forward(self, phonemes: torch.Tensor) -> torch.Tensor:
        durations = phonemes.remainder(3) + 1
        frames = durations.sum().item()
        return torch.zeros(frames, 4) + self.emb(phonemes).mean(0)


@graphfix.target
def durations():
    m = DurationModel().requires_grad_(False)
    yield graphfix.Call(m, torch.tensor([1, 2, 3, 4]))
    yield graphfix.Call(m, torch.tensor([7, 5, 1]))
