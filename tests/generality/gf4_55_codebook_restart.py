"""A codebook with EMA counts that restarts dead codes, and a commitment loss over valid frames."""
from typing import Iterator, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import graphfix


def lengths_to_mask(lengths: Tensor, max_len: int) -> Tensor:
    return torch.arange(max_len)[None, :] < lengths[:, None]


class EMACodebook(nn.Module):
    """
    Euclidean codebook. Codes used less than ``threshold`` are set to the mean of the batch.
    """

    def __init__(self, dim: int = 6, size: int = 10, decay: float = 0.8, threshold: float = 0.9):
        super().__init__()
        self.decay = decay
        self.size = size
        self.threshold = threshold
        self.register_buffer("embed", torch.randn(size, dim))
        self.register_buffer("cluster_size", torch.ones(size))

    def expire_codes_(self, flat: Tensor) -> None:
        dead = self.cluster_size < self.threshold
        if not torch.any(dead):
            return
        self.embed[dead] = flat.mean(0)
        self.cluster_size[dead] = self.threshold

    def forward(self, x: Tensor, mask: Optional[Tensor] = None) -> Tuple[Tensor, Tensor, Tensor]:
        shape, dtype = x.shape, x.dtype
        if mask is None:
            mask = torch.ones(shape[:-1], dtype=torch.bool)
        valid = x[mask]                                  # [n_valid, dim]
        dist = torch.cdist(valid, self.embed)
        ind = dist.argmin(dim=-1)

        counts = torch.bincount(ind, minlength=self.size).to(dtype)
        self.cluster_size.mul_(self.decay).add_(counts, alpha=1 - self.decay)
        self.expire_codes_(valid)

        quantize = F.embedding(ind, self.embed)
        loss = F.mse_loss(quantize, valid)
        out = torch.zeros_like(x)
        out[mask] = quantize
        indices = torch.full(shape[:-1], -1)
        indices[mask] = ind
        return out, indices, loss


class Codec(nn.Module):
    def __init__(self, dim: int = 6):
        super().__init__()
        self.enc = nn.Linear(dim, dim)
        self.codebook = EMACodebook(dim)
        self.dec = nn.Linear(dim, dim)

    def forward(self, x: Tensor, lengths: Optional[Tensor] = None):
        mask = lengths_to_mask(lengths, x.size(1)) if lengths is not None else None
        q, codes, commit = self.codebook(self.enc(x), mask)
        return self.dec(q), codes, commit


@graphfix.target
def codebook_restart() -> Iterator[graphfix.Call]:
    """Padded utterances, twice over, then whole ones."""
    torch.manual_seed(0)
    model = Codec().eval()
    x = torch.randn(3, 8, 6)
    for _ in range(2):
        yield graphfix.Call(model, x, lengths=torch.tensor([8, 3, 5]))
    yield graphfix.Call(Codec().eval(), torch.randn(1, 4, 6))
