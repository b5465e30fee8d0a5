"""Speech encoder with LayerDrop, an inference context in its feature extractor,
and leftovers from the time when it was exported with TorchScript.
"""
import random
from typing import Iterator, List, Optional, Tuple

import numpy as np
import torch
import torch.nn as nn

import graphfix


class ConvFeatureExtractor(nn.Module):
    def __init__(self, dim: int = 8):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv1d(1, dim, 4, 2), nn.Conv1d(dim, dim, 3, 2)])
        self.frozen = True

    def _extract(self, x: torch.Tensor) -> torch.Tensor:
        for conv in self.convs:
            x = nn.functional.gelu(conv(x))
        return x

    def forward(self, wav: torch.Tensor) -> torch.Tensor:
        x = wav.unsqueeze(1)
        if self.frozen:
            with torch.inference_mode():
                x = self._extract(x)
            return x.clone()
        return self._extract(x)


class EncoderBlock(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.ff = nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.relu(self.ff(self.norm(x)))


class SpeechEncoder(nn.Module):
    def __init__(self, dim: int = 8, depth: int = 3, layerdrop: float = 0.1):
        super().__init__()
        self.extractor = ConvFeatureExtractor(dim)
        self.layers = nn.ModuleList([EncoderBlock(dim) for _ in range(depth)])
        self.layerdrop = layerdrop

    def forward(self, wav: torch.Tensor, lengths: Optional[torch.Tensor] = None) -> Tuple[torch.Tensor, List[torch.Tensor]]:
        x = self.extractor(wav).transpose(1, 2)
        hidden = torch.jit.annotate(List[torch.Tensor], [])
        for layer in self.layers:
            # the draw happens in eval mode as well, for the sake of the old seeds
            dropout_probability = np.random.random()
            if not self.training or (dropout_probability > self.layerdrop):
                x = layer(x)
                hidden.append(x)
        if self.training and random.random() < 0.5:
            x = x.flip(1)
        if not torch.jit.is_scripting() and lengths is not None:
            x = x * (torch.arange(x.size(1))[None] < (lengths // 4)[:, None]).unsqueeze(-1)
        return x, hidden


@graphfix.target
def speech_encoder() -> Iterator[graphfix.Call]:
    """With lengths and without."""
    torch.manual_seed(0)
    model = SpeechEncoder().eval().requires_grad_(False)
    yield graphfix.Call(model, torch.randn(2, 64), lengths=torch.tensor([64, 40]))
    yield graphfix.Call(model, torch.randn(1, 80))
