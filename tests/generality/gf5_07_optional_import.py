"""A fast kernel is imported where it is used, if it is there."""
import torch

import graphfix


def rms_norm(x: torch.Tensor, weight: torch.Tensor, eps: float = 1e-6) -> torch.Tensor:
    try:
        from some_fused_kernels_nobody_has import rms_norm as fused
    except ImportError:
        fused = None
    if fused is not None:
        return fused(x, weight, eps)
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * weight


@graphfix.target
def norm():
    yield graphfix.Call(rms_norm, torch.randn(2, 4), weight=torch.ones(4))
    yield graphfix.Call(rms_norm, torch.randn(3, 6), weight=torch.rand(6))
