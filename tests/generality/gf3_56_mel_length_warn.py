"""A duration model that warns once about long inputs and keeps running statistics for a report."""
import sys
import warnings
from collections import deque
from datetime import datetime
from typing import Deque, Iterator, Optional

import torch
from torch import Tensor, nn

import graphfix


class RunningStat:
    """ A small window of recent values, for the console. """

    def __init__(self, maxlen: int = 20):
        self.window: Deque[float] = deque(maxlen=maxlen)
        self.total = 0.0
        self.count = 0

    def update(self, value: float, n: int = 1) -> None:
        self.window.append(value)
        self.count += n
        self.total += value * n

    @property
    def avg(self) -> float:
        return self.total / max(self.count, 1)


class VariancePredictor(nn.Module):
    def __init__(self, dim: int = 16, kernel: int = 3, dropout: float = 0.1):
        super().__init__()
        self.conv1 = nn.Conv1d(dim, dim, kernel, padding=kernel // 2)
        self.norm1 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(dim, 1)

    def forward(self, x: Tensor, mask: Optional[Tensor] = None) -> Tensor:
        h = self.conv1(x.transpose(1, 2)).transpose(1, 2)
        h = self.dropout(self.norm1(h.relu()))
        out = self.linear(h).squeeze(-1)
        if mask is not None:
            out = out.masked_fill(mask, 0.0)
        return out


class DurationModel(nn.Module):
    max_seq_len = 12
    _warned = False

    def __init__(self, vocab: int = 30, dim: int = 16):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim, padding_idx=0)
        self.predictor = VariancePredictor(dim)
        self.stat = RunningStat()

    def log(self, msg: str) -> None:
        stamp = datetime.now().strftime("%H:%M:%S")
        sys.stderr.write(f"{stamp} {msg}\n")

    def forward(self, text: Tensor, d_control: float = 1.0) -> Tensor:
        if text.size(1) > self.max_seq_len and not self._warned:
            warnings.warn(f"sequence of {text.size(1)} is over {self.max_seq_len}")
            self._warned = True
        mask = text.eq(0)
        log_d = self.predictor(self.embed(text), mask)
        dur = torch.clamp(torch.round(torch.exp(log_d) - 1) * d_control, min=0)
        dur = dur.masked_fill(mask, 0.0)
        self.stat.update(dur.sum(1).mean().item(), n=text.size(0))
        self.log(f"mean frames {self.stat.avg:.1f}")
        return dur


@graphfix.target
def mel_length_warn() -> Iterator[graphfix.Call]:
    """A short text, then a long one spoken slowly."""
    torch.manual_seed(0)
    model = DurationModel().eval()
    yield graphfix.Call(model, torch.tensor([[3, 4, 5, 0], [6, 7, 8, 9]]))
    yield graphfix.Call(model, torch.randint(1, 30, (1, 15)), d_control=1.5)
