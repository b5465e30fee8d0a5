"""A SAC actor loss that clamps, checks for NaN and tunes its temperature by an if."""
from typing import Iterator, Optional, Tuple

import torch
import torch.nn as nn
from torch.distributions import Normal

import graphfix

LOG_STD_MAX = 2
LOG_STD_MIN = -5


def mlp(sizes, activation=nn.ReLU):
    layers = []
    for i in range(len(sizes) - 1):
        layers += [nn.Linear(sizes[i], sizes[i + 1])]
        if i < len(sizes) - 2: layers += [activation()]
    return nn.Sequential(*layers)


class Actor(nn.Module):
    def __init__(self, obs_dim, act_dim, hidden=16):
        super().__init__()
        self.net = mlp([obs_dim, hidden, 2 * act_dim])

    def forward(self, obs: torch.Tensor, eps: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        mean, log_std = self.net(obs).chunk(2, dim=-1)
        log_std = torch.tanh(log_std)
        log_std = LOG_STD_MIN + 0.5 * (LOG_STD_MAX - LOG_STD_MIN) * (log_std + 1)
        std = log_std.exp()
        x_t = mean + std * eps
        log_prob = -0.5 * eps.pow(2) - log_std - 0.9189385
        action = torch.tanh(x_t)
        # Enforcing action bound
        log_prob = log_prob - torch.log(1 - action.pow(2) + 1e-6)
        return action, log_prob.sum(-1, keepdim=True)


class SACPolicyLoss(nn.Module):
    """Policy objective with an entropy temperature; target entropy is -|A|."""

    def __init__(self, obs_dim: int = 6, act_dim: int = 2, min_alpha: float = 0.05):
        super().__init__()
        self.actor = Actor(obs_dim, act_dim)
        self.q1 = mlp([obs_dim + act_dim, 16, 1])
        self.q2 = mlp([obs_dim + act_dim, 16, 1])
        self.log_alpha = nn.Parameter(torch.zeros(1))
        self.target_entropy = -float(act_dim)
        self.min_alpha = min_alpha

    def forward(self, obs, eps, weight: Optional[torch.Tensor] = None):
        pi, log_pi = self.actor(obs, eps)
        if torch.isnan(log_pi).any():
            raise ValueError("NaN in the log-probabilities of the policy")
        sa = torch.cat([obs, pi], 1)
        min_q = torch.min(self.q1(sa), self.q2(sa))

        entropy_gap = (log_pi + self.target_entropy).mean()
        alpha = self.log_alpha.exp()
        if entropy_gap > 0 and alpha < 10.0:
            alpha = alpha * 1.01
        elif alpha < self.min_alpha:
            alpha = torch.full_like(alpha, self.min_alpha)
        else:
            alpha = alpha * 0.99
        loss = alpha.detach() * log_pi - min_q
        if weight is not None:
            loss = loss * weight
        return loss.mean(), alpha


@graphfix.target
def sac_alpha_bound() -> Iterator[graphfix.Call]:
    """Small noise, large noise, and a weighted batch with a tiny temperature."""
    torch.manual_seed(0)
    crit = SACPolicyLoss().eval()
    obs = torch.randn(8, 6)
    yield graphfix.Call(crit, obs, 0.01 * torch.randn(8, 2))
    yield graphfix.Call(crit, obs, 3.0 * torch.ones(8, 2))
    low = SACPolicyLoss().eval()
    nn.init.constant_(low.log_alpha, -6.0)
    yield graphfix.Call(low, torch.randn(3, 6), 4.0 * torch.ones(3, 2), weight=torch.rand(3, 1))
