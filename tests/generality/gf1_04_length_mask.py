"""NLP: a padding mask filled row by row from a list of lengths."""
import torch
from torch import Tensor, nn

import graphfix


class MeanPooler(nn.Module):
    def make_mask(self, token_ids: Tensor, lengths: Tensor) -> Tensor:
        mask = torch.zeros_like(token_ids, dtype=torch.bool)
        for row, n in enumerate(lengths.tolist()):
            mask[row, :n] = True
        return mask

    def forward(self, token_ids: Tensor, hidden: Tensor, lengths: Tensor) -> Tensor:
        mask = self.make_mask(token_ids, lengths=lengths)[..., None]
        return (hidden * mask).sum(dim=1) / mask.sum(dim=1)


@graphfix.target
def pool():
    pooler = MeanPooler()
    yield graphfix.Call(pooler, torch.ones(2, 5, dtype=torch.long), torch.randn(2, 5, 3), torch.tensor([5, 2]))
    yield graphfix.Call(pooler, torch.ones(3, 4, dtype=torch.long), torch.randn(3, 4, 3), torch.tensor([1, 4, 3]))
