"""Text encoder with a module logger: truncation notes and debug lines per layer."""

import logging
from dataclasses import dataclass
from typing import Iterator, Optional

import torch
from torch import Tensor, nn

import graphfix

logger = logging.getLogger(__name__)


@dataclass
class EncoderConfig:
    vocab_size: int = 40
    max_positions: int = 10
    hidden: int = 16
    layers: int = 2
    name: str = "tiny-encoder"


class EncoderLayer(nn.Module):
    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.attn = nn.MultiheadAttention(config.hidden, 2, batch_first=True)
        self.ffn = nn.Sequential(nn.Linear(config.hidden, 32), nn.ReLU(), nn.Linear(32, config.hidden))
        self.norm = nn.LayerNorm(config.hidden)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        out, _ = self.attn(h, h, h, need_weights=True)
        return x + self.ffn(out)


class TextEncoder(nn.Module):
    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.config = config
        self.tok = nn.Embedding(config.vocab_size, config.hidden)
        self.pos = nn.Embedding(config.max_positions, config.hidden)
        self.layers = nn.ModuleList([EncoderLayer(config) for _ in range(config.layers)])

    def forward(self, input_ids: Tensor, attention_mask: Optional[Tensor] = None) -> Tensor:
        seq_len = input_ids.size(1)
        if attention_mask is None:
            logger.info("%s: no attention mask given, taking all %d tokens", self.config.name, seq_len)
            attention_mask = torch.ones_like(input_ids)
        if seq_len > self.config.max_positions:
            logger.warning(
                "Input of length %d is longer than %d; it will be truncated.",
                seq_len, self.config.max_positions,
            )
            input_ids = input_ids[:, : self.config.max_positions]
            attention_mask = attention_mask[:, : self.config.max_positions]
        x = self.tok(input_ids) + self.pos(torch.arange(input_ids.size(1)))
        for i, layer in enumerate(self.layers):
            x = layer(x)
            logger.debug(f"layer {i}: hidden norm {x.norm().item():.3f}")
        weight = attention_mask.unsqueeze(-1).to(x.dtype)
        return (x * weight).sum(1) / weight.sum(1).clamp(min=1)


@graphfix.target
def text_encoder() -> Iterator[graphfix.Call]:
    """Too long an input, then a short one with a mask."""
    torch.manual_seed(0)
    model = TextEncoder(EncoderConfig()).eval().requires_grad_(False)
    yield graphfix.Call(model, torch.randint(0, 40, (2, 14)))
    ids = torch.randint(0, 40, (2, 6))
    yield graphfix.Call(model, ids, attention_mask=(torch.arange(6)[None] < torch.tensor([[4], [6]])).long())
