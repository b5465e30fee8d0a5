"""Prosody encoder: BiLSTM run with cuDNN off (second-order gradients needed it)."""
from typing import NamedTuple, Optional

import torch
from torch import nn, Tensor

import graphfix


class EncOut(NamedTuple):
    frames: Tensor
    summary: Optional[Tensor] = None


class ProsodyEncoder(nn.Module):
    def __init__(self, n_mels: int = 10, hidden: int = 6) -> None:
        super().__init__()
        self.pre = nn.Conv1d(n_mels, n_mels, 3, padding=1)
        self.rnn = nn.LSTM(n_mels, hidden, batch_first=True, bidirectional=True)

    def _recur(self, x, state):
        with torch.backends.cudnn.flags(enabled=False):
            return self.rnn(x, state)

    def forward(self, mel: Tensor, h0: Optional[Tensor] = None) -> EncOut:
        x = self.pre(mel.transpose(1, 2)).relu().transpose(1, 2)
        state = None if h0 is None else (h0, torch.zeros_like(h0))
        y, (h, _) = self._recur(x, state)
        out = EncOut(frames=y)
        return out._replace(summary=torch.cat([h[0], h[1]], dim=-1))


@graphfix.target
def prosody():
    torch.manual_seed(87)
    enc = ProsodyEncoder().eval().requires_grad_(False)
    yield graphfix.Call(enc, torch.randn(2, 7, 10))
    yield graphfix.Call(enc, torch.randn(3, 4, 10), h0=torch.randn(2, 3, 6))
