"""VAE: math.log of a buffer, in the middle of a KL term."""
import math

import torch
from torch import nn

import graphfix


class Prior(nn.Module):
    def __init__(self, var: float = 2.0):
        super().__init__()
        self.register_buffer("var", torch.tensor(var))

    def kl(self, mu, logvar):
        # KL(q || p) per latent
        return 0.5 * (
            math.log(self.var)
            - logvar
            + (logvar.exp() + mu.pow(2)) / self.var
            - 1.0
        )


class Vae(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Linear(6, 8)
        self.prior = Prior()

    def forward(self, x):
        mu, logvar = self.enc(x).chunk(2, dim=-1)
        return self.prior.kl(mu=mu, logvar=logvar).sum(-1)


@graphfix.target
def kl():
    vae = Vae().requires_grad_(False)
    yield graphfix.Call(vae, torch.randn(3, 6))
    yield graphfix.Call(vae, torch.randn(7, 6))
