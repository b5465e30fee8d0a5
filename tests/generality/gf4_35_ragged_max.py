"""Point clouds / sets: a flat batch is split by per-sample sizes and each piece max-pooled."""
import torch
from torch import nn

import graphfix


class SetEncoder(nn.Module):
    """DeepSets on ragged input; `sizes` says how many points belong to each sample."""

    def __init__(self, d_in: int = 3, d_out: int = 5):
        super().__init__()
        self.phi = nn.Linear(d_in, d_out)

    def forward(self, points: torch.Tensor, sizes: torch.LongTensor) -> torch.Tensor:
        h = torch.relu(self.phi(points))
        chunks = torch.split(h, sizes.tolist(), dim=0)
        pooled = [c.amax(dim=0) for c in chunks]
        return torch.stack(pooled)


@graphfix.target
def encode():
    torch.manual_seed(18)
    enc = SetEncoder().requires_grad_(False)
    yield graphfix.Call(enc, torch.randn(9, 3), torch.tensor([4, 2, 3]))
    yield graphfix.Call(enc, points=torch.randn(4, 3), sizes=torch.tensor([1, 3]))
