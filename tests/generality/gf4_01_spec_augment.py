"""Speech: masked frames are overwritten by a learned vector (wav2vec style), by a mask on both sides."""
import torch
from torch import nn

import graphfix


class SpecMasker(nn.Module):
    def __init__(self, dim: int = 4):
        super().__init__()
        self.mask_embed = nn.Parameter(torch.randn(dim), requires_grad=False)

    def forward(self, feats: torch.Tensor, masked: torch.Tensor | None = None) -> torch.Tensor:
        if masked is not None:
            noise = feats.flip(1)
            feats[masked] = noise[masked] + self.mask_embed
        return feats


@graphfix.target
def mask():
    m = SpecMasker()
    yield graphfix.Call(m, torch.randn(2, 5, 4), masked=torch.rand(2, 5) > 0.5)
    yield graphfix.Call(m, torch.randn(1, 7, 4), masked=torch.rand(1, 7) > 0.3)
