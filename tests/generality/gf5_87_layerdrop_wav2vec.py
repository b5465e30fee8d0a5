"""wav2vec2-like encoder: LayerDrop draws from NumPy on every layer, whether it trains or not."""
import numpy as np
import torch
from torch import nn

import graphfix


class EncoderLayer(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.ff = nn.Sequential(nn.Linear(dim, dim * 2), nn.GELU(), nn.Linear(dim * 2, dim))

    def forward(self, h):
        return h + self.ff(self.norm(h))


class Wav2VecEncoder(nn.Module):
    def __init__(self, dim=6, layers=3, layerdrop=0.1):
        super().__init__()
        self.layerdrop = layerdrop
        self.extractor = nn.Conv1d(1, dim, 5, stride=3)
        self.layers = nn.ModuleList([EncoderLayer(dim) for _ in range(layers)])

    def forward(self, wav, output_hidden_states=False):
        h = self.extractor(wav[:, None]).transpose(1, 2)
        states = [h]
        for layer in self.layers:
            # add LayerDrop (see https://arxiv.org/abs/1909.11556)
            dropout_probability = np.random.uniform(0, 1)
            if self.training and (dropout_probability < self.layerdrop):
                continue
            states.append(h := layer(h))
        return torch.stack(states) if output_hidden_states else h


@graphfix.target
def layerdrop_wav2vec():
    torch.manual_seed(6)
    enc = Wav2VecEncoder().eval().requires_grad_(False)
    yield graphfix.Call(enc, torch.randn(2, 20))
    yield graphfix.Call(enc, torch.randn(1, 32), output_hidden_states=True)
