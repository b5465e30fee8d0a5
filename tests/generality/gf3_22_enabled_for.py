"""A costly statistic is worked out only if the log wants it; another line goes to the root logger."""
import logging

import torch

import graphfix

LOG = logging.getLogger("rl.advantage")


def gae(rewards: torch.Tensor, values: torch.Tensor, gamma: float = 0.9, lam: float = 0.8) -> torch.Tensor:
    advantages = []
    running = torch.zeros_like(rewards[:, 0])
    if LOG.isEnabledFor(logging.DEBUG):
        LOG.debug("mean reward %.3f", rewards.mean())
    for t in reversed(range(rewards.shape[1])):
        delta = rewards[:, t] + gamma * values[:, t + 1] - values[:, t]
        running = delta + gamma * lam * running
        advantages.append(running)
    logging.debug("%d steps back", rewards.shape[1])
    return torch.stack(advantages[::-1], dim=1)


@graphfix.target
def advantages():
    yield graphfix.Call(gae, torch.randn(2, 3), torch.randn(2, 4))
    yield graphfix.Call(gae, rewards=torch.randn(1, 5), values=torch.randn(1, 6), gamma=1.0)
