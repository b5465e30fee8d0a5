"""Dreamer-like decoder: sizes worked out with np.prod in __init__ are kept as numpy integers."""
import numpy as np
import torch
from torch import nn

from graphfix import Call, target


class ObsDecoder(nn.Module):
    def __init__(self, latent=6, shape=(2, 3, 4)):
        super().__init__()
        self.shape = shape
        self.flat = np.prod(shape)
        self.gain = np.sqrt(2.0 / latent)
        self.fc = nn.Linear(latent, int(self.flat))

    def forward(self, z):
        y = self.fc(z) * self.gain
        lead = z.shape[:-1]
        y = y.reshape(-1, self.flat // self.shape[0], self.shape[0])
        y = y.transpose(1, 2)
        return y.reshape(*lead, *self.shape)


class WithPrior(nn.Module):
    def __init__(self, **kw):
        super().__init__()
        self.dec = ObsDecoder(**kw)

    def forward(self, mean, noise=None):
        return self.dec(mean if noise is None else mean + noise)


@target
def decoder():
    torch.manual_seed(21)
    m = WithPrior(latent=6).requires_grad_(False)
    yield Call(m, torch.randn(2, 5, 6))
    yield Call(m, torch.randn(3, 6), noise=torch.randn(3, 6))
