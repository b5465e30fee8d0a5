"""CLIP-like text tower: pooled at the first EOS of each row, found with nonzero()."""
from typing import Sequence

import torch
import torch.nn as nn

from graphfix import Call, target


class TextPool(nn.Module):
    def __init__(self, vocab: int = 12, dim: int = 4, eos_id: int = 2) -> None:
        super().__init__()
        self.emb = nn.Embedding(vocab, dim)
        self.ln_final = nn.LayerNorm(dim)
        self.eos_id = eos_id

    def _ends(self, ids: torch.Tensor) -> Sequence[torch.Tensor]:
        ends = []
        for row in ids:
            hits = (row == self.eos_id).nonzero(as_tuple=True)[0]
            ends.append(hits[0])
        return ends

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        x = self.ln_final(self.emb(input_ids))
        idx = torch.stack(self._ends(input_ids))
        return x[torch.arange(x.shape[0], device=x.device), idx]


@target
def pool():
    torch.manual_seed(15)
    net = TextPool().requires_grad_(False)
    yield Call(net, torch.tensor([[5, 6, 2, 0, 0], [7, 2, 2, 0, 0], [8, 9, 3, 4, 2]]))
    yield Call(net, input_ids=torch.tensor([[2, 1, 1], [3, 3, 2]]))
