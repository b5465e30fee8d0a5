"""A constructor-like check raises ValueError with a formatted message; the condition stands on two lines."""
import torch
from torch import distributions as D
from torch import nn

import graphfix


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.mean = nn.Linear(3, 2)
        self.log_std = nn.Parameter(torch.zeros(2))

    @staticmethod
    def _check(value, name):
        if not torch.isfinite(value).all() \
                or (value.abs() > 1e6).any():
            raise ValueError(f"{name} of shape {tuple(value.shape)} is not finite or far too large")

    def forward(self, obs, action):
        self._check(obs, "obs")
        self._check(action, name="action")
        dist = D.Normal(self.mean(obs), self.log_std.exp(), validate_args=False)
        return dist.log_prob(action).sum(-1)


@graphfix.target
def log_prob():
    p = Policy().requires_grad_(False)
    yield graphfix.Call(p, torch.randn(4, 3), torch.randn(4, 2))
    yield graphfix.Call(p, torch.randn(7, 3), torch.randn(7, 2))
