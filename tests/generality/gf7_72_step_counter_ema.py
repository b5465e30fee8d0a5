"""EMA code book with a warm-up that counts its own calls in a Python int."""
import torch
from torch import nn, Tensor

import graphfix


class EMACodebook(nn.Module):
    def __init__(self, n_codes: int = 8, dim: int = 4, warmup: int = 10):
        super().__init__()
        self.register_buffer("codes", torch.randn(n_codes, dim))
        self.warmup = warmup
        self.num_updates = 0

    @property
    def decay(self) -> float:
        return min(0.99, (1 + self.num_updates) / (self.warmup + self.num_updates))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        self.num_updates += 1
        idx = torch.cdist(z, self.codes).argmin(-1)
        q = self.codes[idx]
        mixed = self.decay * q + (1 - self.decay) * z
        return mixed, idx


@graphfix.target
def ema_codebook():
    torch.manual_seed(99)
    book = EMACodebook().eval()
    yield graphfix.Call(book, torch.randn(5, 4))
    yield graphfix.Call(book, torch.randn(5, 4))
    yield graphfix.Call(book, z=2 * torch.randn(5, 4))
