"""PPO: nested ternaries choose a factor from the measured divergence."""
from typing import NamedTuple

import torch

import graphfix


class PpoLoss(NamedTuple):
    total: torch.Tensor
    kl: torch.Tensor


def ppo_loss(new_logp, old_logp, advantage, *, target_kl: float = 0.05, clip: float = 0.2) -> PpoLoss:
    ratio = (new_logp - old_logp).exp()
    surrogate = torch.min(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)
    kl = (old_logp - new_logp).mean()
    penalty = 2.0 if kl > 1.5 * target_kl else (0.5 if kl < target_kl / 1.5 else 1.0)
    return PpoLoss(total=(-surrogate + penalty * kl).mean(), kl=kl)


@graphfix.target
def loss():
    old = torch.tensor([-1.0, -2.0, -0.5])
    yield graphfix.Call(ppo_loss, new_logp=old - 0.5, old_logp=old, advantage=torch.tensor([1.0, -1.0, 0.5]))
    yield graphfix.Call(ppo_loss, old + 0.3, old, advantage=torch.tensor([0.2, 0.1, -0.4]))
    yield graphfix.Call(ppo_loss, old - 0.05, old, torch.tensor([0.2, 0.1, -0.4]))
