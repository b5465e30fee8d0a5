"""VAE bottleneck: nan guard, KL free-bits branch, and a print when the posterior collapses."""
from typing import Dict, Optional, Tuple

import torch
from torch import Tensor, nn

import graphfix


class NumericsError(RuntimeError):
    pass


def check_finite(name: str, *tensors: Tensor) -> None:
    for t in tensors:
        if not torch.isfinite(t).all():
            raise NumericsError(f"{name}: non-finite values")


class GaussianBottleneck(nn.Module):
    def __init__(self, dim: int = 4, free_bits: float = 0.25, logvar_cap: float = 6.0):
        super().__init__()
        self.stats = nn.Linear(dim, 2 * dim)
        self.free_bits = free_bits
        self.logvar_cap = logvar_cap
        self.register_buffer("beta", torch.tensor(0.5))

    def reparameterize(self, mu: Tensor, logvar: Tensor, noise: Optional[Tensor]) -> Tensor:
        if noise is None:          # deterministic path for eval
            return mu
        return mu + noise * torch.exp(0.5 * logvar)

    def kl(self, mu: Tensor, logvar: Tensor) -> Tensor:
        kl = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum(-1).mean()
        if kl < self.free_bits:
            return torch.full_like(kl, self.free_bits)
        return kl

    def forward(self, h: Tensor, noise: Optional[Tensor] = None) -> Tuple[Tensor, Dict[str, Tensor]]:
        mu, logvar = self.stats(h).chunk(2, dim=-1)
        check_finite("posterior", mu, logvar)
        if logvar.max() > self.logvar_cap:
            logvar = logvar.clamp(max=self.logvar_cap)
        z = self.reparameterize(mu, logvar, noise)
        kl = self.kl(mu, logvar)
        print(f"bottleneck z={tuple(z.shape)}")
        return z, {"kl": kl, "weighted": kl * self.beta.item()}


@graphfix.target
def bottleneck():
    torch.manual_seed(26)
    vae = GaussianBottleneck().requires_grad_(False)
    yield graphfix.Call(vae, torch.randn(3, 4) * 40, noise=torch.randn(3, 4))
    yield graphfix.Call(vae, torch.zeros(2, 4))
    yield graphfix.Call(GaussianBottleneck(free_bits=50.0).requires_grad_(False), torch.randn(2, 4))
