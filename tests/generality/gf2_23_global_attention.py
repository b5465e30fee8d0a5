"""Long documents: a flag is taken out of a mask once and asked twice, further down and in another method."""
import torch
from torch import nn

import graphfix


class MixedAttention(nn.Module):
    def __init__(self, d: int = 4):
        super().__init__()
        self.local, self.glob = nn.Linear(d, d), nn.Linear(d, d)

    def add_global(self, out, hidden, mask, is_global):
        if is_global:
            out = out + self.glob(hidden) * mask[..., None]
        return out

    def forward(self, hidden: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        index_global = attention_mask > 0
        is_global = index_global.flatten().any().item()
        out = self.local(hidden)
        out = self.add_global(out, hidden, index_global, is_global=is_global)
        return out.tanh()


@graphfix.target
def attention():
    m = MixedAttention().requires_grad_(False)
    yield graphfix.Call(m, torch.randn(1, 3, 4), attention_mask=torch.tensor([[1, 0, 0]]))
    yield graphfix.Call(m, torch.randn(2, 5, 4), attention_mask=torch.zeros(2, 5))
