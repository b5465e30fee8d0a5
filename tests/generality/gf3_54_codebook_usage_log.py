"""A residual vector quantiser that counts its calls and appends perplexities to a CSV file."""
import csv
import os
import tempfile
from typing import Iterator, List, Optional, Tuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import nn

import graphfix

LOG_DIR = tempfile.gettempdir()


class VectorQuantize(nn.Module):
    def __init__(self, input_dim: int, codebook_size: int, codebook_dim: int):
        super().__init__()
        self.in_proj = nn.Conv1d(input_dim, codebook_dim, 1)
        self.out_proj = nn.Conv1d(codebook_dim, input_dim, 1)
        self.codebook = nn.Embedding(codebook_size, codebook_dim)
        self.num_forwards = 0

    def decode_latents(self, latents):
        enc = F.normalize(rearrange(latents, "b d t -> (b t) d"))
        codebook = F.normalize(self.codebook.weight)
        # cosine distance, as in ViT-VQGAN
        dist = enc.pow(2).sum(1, keepdim=True) - 2 * enc @ codebook.t() + codebook.pow(2).sum(1)
        return rearrange(dist.argmin(1), "(b t) -> b t", b=latents.size(0))

    def forward(self, z) -> Tuple[torch.Tensor, torch.Tensor]:
        self.num_forwards += 1
        z_e = self.in_proj(z)
        codes = self.decode_latents(z_e)
        z_q = self.codebook(codes).transpose(1, 2)
        z_q = z_e + (z_q - z_e).detach()
        return self.out_proj(z_q), codes


class ResidualVectorQuantize(nn.Module):
    """Introduced in SoundStream: An end2end neural audio codec."""

    def __init__(self, dim=12, n_codebooks=3, size=16, codebook_dim=4, log_name: Optional[str] = "rvq_usage.csv"):
        super().__init__()
        self.quantizers = nn.ModuleList([VectorQuantize(dim, size, codebook_dim) for _ in range(n_codebooks)])
        self.size = size
        self.log_path = os.path.join(LOG_DIR, log_name) if log_name else None

    def perplexity(self, codes: torch.Tensor) -> torch.Tensor:
        probs = F.one_hot(codes, self.size).float().mean((0, 1))
        return torch.exp(-(probs * torch.log(probs + 1e-10)).sum())

    def write_row(self, values: List[torch.Tensor]) -> None:
        if self.log_path is None:
            return
        with open(self.log_path, "a", newline="") as f:
            csv.writer(f).writerow([self.quantizers[0].num_forwards] + [f"{v.item():.4f}" for v in values])

    def forward(self, z, n_quantizers: Optional[int] = None):
        z_q, residual, codes, usage = 0, z, [], []
        for i, quantizer in enumerate(self.quantizers):
            if n_quantizers is not None and i >= n_quantizers:
                break
            z_q_i, codes_i = quantizer(residual)
            z_q = z_q + z_q_i
            residual = residual - z_q_i
            codes.append(codes_i)
            usage.append(self.perplexity(codes_i))
        self.write_row(usage)
        return z_q, torch.stack(codes, dim=1)


@graphfix.target
def codebook_usage_log() -> Iterator[graphfix.Call]:
    """All codebooks, then fewer."""
    torch.manual_seed(0)
    model = ResidualVectorQuantize().eval()
    yield graphfix.Call(model, torch.randn(2, 12, 9))
    yield graphfix.Call(model, torch.randn(1, 12, 5), n_quantizers=2)
