"""A ternary on a tensor, as a keyword argument of a submodule call that spans lines."""
import torch
from torch import nn

import graphfix


class SignedProjection(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Bilinear(3, 3, 4)

    def forward(self, feats: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
        return self.proj(
            input1=feats if gate.sum() > 0 else -feats,  # flip
            input2=feats,
        )


@graphfix.target
def project():
    m = SignedProjection().requires_grad_(False)
    yield graphfix.Call(m, torch.randn(2, 3), gate=torch.ones(4))
    yield graphfix.Call(m, torch.randn(6, 3), gate=-torch.ones(4))
