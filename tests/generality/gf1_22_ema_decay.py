"""An averaged codebook whose decay is warmed up by a counter that lives in a buffer."""
import torch
from torch import nn

import graphfix


class EmaCodebook(nn.Module):
    def __init__(self, n: int = 4, decay: float = 0.99) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("num_updates", torch.tensor(3.0))
        self.register_buffer("mean", torch.zeros(n))

    def current_decay(self) -> float:
        n = self.num_updates.item()
        return min(self.decay, (1 + n) / (10 + n))

    @torch.no_grad()
    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        decay = self.current_decay()
        new = batch.mean(0)
        return self.mean * decay + new * (1.0 - decay)


@graphfix.target
def codebook():
    m = EmaCodebook()
    yield graphfix.Call(m, torch.randn(3, 4))
    yield graphfix.Call(m, batch=torch.randn(8, 4))
