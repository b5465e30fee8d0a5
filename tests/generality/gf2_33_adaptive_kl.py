"""PPO: the penalty coefficient follows the measured KL through an if/elif/else chain."""
import torch

from graphfix import Call, target


class AdaptiveKLCoef:
    def __init__(self, target_kl: float = 0.02, lo: float = 1 / 1.5, hi: float = 1.5):
        self.target_kl = target_kl
        self.lo, self.hi = lo, hi

    def update(self, coef: torch.Tensor, kl: torch.Tensor) -> torch.Tensor:
        if kl > self.target_kl * self.hi and not torch.isinf(kl):
            coef = coef * 2
        elif kl < self.target_kl * self.lo:
            coef = coef / 2
        else:
            coef = coef + 0.0
        return coef.clamp(1e-4, 10.)


def ppo_objective(new_logp, old_logp, adv, coef, ctl=AdaptiveKLCoef()):
    log_ratio = new_logp - old_logp
    approx_kl = ((log_ratio.exp() - 1) - log_ratio).mean()
    coef = ctl.update(coef, approx_kl)
    return -(log_ratio.exp() * adv).mean() + coef * approx_kl, coef


@target
def ppo():
    torch.manual_seed(6)
    lp, adv = -torch.rand(8), torch.randn(8)
    yield Call(ppo_objective, lp, lp + 0.5 * torch.randn(8), adv, torch.tensor(0.5))
    yield Call(ppo_objective, lp, lp + 1e-3, adv, coef=torch.tensor(0.5))
    yield Call(ppo_objective, lp, lp + 0.2, adv, torch.tensor(1.0))
