"""Streaming keyword spotter with an energy gate in front.

A quiet chunk does not reach the acoustic model: the state decays and the
"nothing" scores are handed back.
"""
from typing import Iterator, Tuple

import torch
import torch.nn as nn
from torch import Tensor

import graphfix


class EnergyGate(nn.Module):
    """True where the chunk has speech in it, with a noise floor tracker."""

    def __init__(self, threshold_db: float = 6.0, alpha: float = 0.9) -> None:
        super().__init__()
        self.threshold_db = threshold_db
        self.alpha = alpha

    def forward(self, chunk: Tensor, floor: Tensor) -> Tuple[bool, Tensor]:
        level = 10 * torch.log10(chunk.square().mean() + 1e-10)
        is_speech = bool(level > floor + self.threshold_db)
        if not is_speech:
            floor = self.alpha * floor + (1 - self.alpha) * level
        return is_speech, floor


class KeywordSpotter(nn.Module):
    def __init__(self, n_feat: int = 20, hidden: int = 16, keywords: int = 3):
        super().__init__()
        self.gate = EnergyGate()
        self.cell = nn.GRUCell(n_feat, hidden)
        self.head = nn.Linear(hidden, keywords + 1)
        self.register_buffer("silence_scores", torch.tensor([1.0] + [0.0] * keywords))

    def features(self, chunk: Tensor) -> Tensor:
        return torch.log1p(chunk.abs()).view(1, -1, 8).mean(-1)

    def forward(self, chunk: Tensor, state: Tensor, floor: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        speech, floor = self.gate(chunk, floor)
        if not speech:
            return self.silence_scores, state * 0.5, floor
        state = self.cell(self.features(chunk), state)
        probs = self.head(state).softmax(-1)[0]
        # an uncertain answer counts as nothing
        probs = probs if probs.max() > 0.3 else self.silence_scores
        return probs, state, floor


@graphfix.target
def keyword_spotter() -> Iterator[graphfix.Call]:
    """Loud chunk, quiet chunk, and a chunk near the noise floor."""
    torch.manual_seed(0)
    model = KeywordSpotter().eval().requires_grad_(False)
    state, floor = torch.zeros(1, 16), torch.tensor(-40.0)
    yield graphfix.Call(model, torch.randn(160), state, floor)
    yield graphfix.Call(model, 1e-4 * torch.randn(160), torch.randn(1, 16), floor)
    yield graphfix.Call(model, 0.015 * torch.randn(160), torch.randn(1, 16), floor)
