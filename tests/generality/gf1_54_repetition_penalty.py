"""Logits processors of a sampler that walk over token ids as Python lists."""
from typing import Iterator, List, Optional

import torch
from torch import nn

import graphfix


class RepetitionPenaltyProcessor:
    def __init__(self, penalty: float, window: Optional[int] = None):
        if penalty <= 0:
            raise ValueError(f"`penalty` has to be strictly positive, but is {penalty}")
        self.penalty = penalty
        self.window = window

    def __call__(self, input_ids: torch.LongTensor, scores: torch.Tensor) -> torch.Tensor:
        if self.window is not None:
            input_ids = input_ids[:, -self.window:]
        scores = scores.clone()
        for b in range(input_ids.shape[0]):
            for tok in input_ids[b].tolist():
                s = scores[b, tok]
                scores[b, tok] = torch.where(s < 0, s * self.penalty, s / self.penalty)
        return scores


class TemperatureWarper:
    def __init__(self, temperature: torch.Tensor):
        self.temperature = temperature

    def __call__(self, input_ids, scores):
        return scores / max(self.temperature.item(), 1e-5)


class LogitsHead(nn.Module):
    """Tied head and the processors after it"""

    def __init__(self, vocab: int = 20, dim: int = 16, temperature: float = 0.7):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim)
        self.register_buffer("temperature", torch.tensor(temperature))
        self.processors: List = [
            RepetitionPenaltyProcessor(1.3, window=6),
            TemperatureWarper(self.temperature),
        ]

    def forward(self, input_ids: torch.LongTensor) -> torch.Tensor:
        h = self.embed(input_ids).cumsum(1)[:, -1]
        scores = h @ self.embed.weight.t()
        for p in self.processors:
            scores = p(input_ids, scores)
        return scores.softmax(-1)


@graphfix.target
def repetition_penalty() -> Iterator[graphfix.Call]:
    """Ids with repeats, and a prompt shorter than the window."""
    torch.manual_seed(0)
    head = LogitsHead().eval()
    yield graphfix.Call(head, torch.tensor([[1, 2, 2, 3, 1, 9, 9], [4, 4, 4, 4, 5, 6, 0]]))
    yield graphfix.Call(head, torch.tensor([[7, 11, 7]]))
