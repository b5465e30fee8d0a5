"""A PPO update's loss over minibatches, broken off once the KL divergence is too large."""
from dataclasses import dataclass
from typing import Dict, Iterator

import torch
import torch.nn as nn

import graphfix


@dataclass(frozen=True)
class PPOArgs:
    clip_coef: float = 0.2
    ent_coef: float = 0.01
    vf_coef: float = 0.5
    num_minibatches: int = 4
    target_kl: float = 0.03
    norm_adv: bool = True
    clip_vloss: bool = True


class Agent(nn.Module):
    def __init__(self, obs: int = 5, n_actions: int = 3):
        super().__init__()
        self.critic = nn.Sequential(nn.Linear(obs, 16), nn.Tanh(), nn.Linear(16, 1))
        self.actor = nn.Sequential(nn.Linear(obs, 16), nn.Tanh(), nn.Linear(16, n_actions))

    def evaluate(self, x, action):
        logp = self.actor(x).log_softmax(-1)
        ent = -(logp.exp() * logp).sum(-1)
        return logp.gather(-1, action[:, None]).squeeze(-1), ent, self.critic(x).flatten()


class PPOLoss(nn.Module):
    def __init__(self, agent: Agent, args: PPOArgs):
        super().__init__()
        self.agent, self.args = agent, args

    def minibatch_loss(self, mb: Dict[str, torch.Tensor]):
        args = self.args
        newlogprob, entropy, newvalue = self.agent.evaluate(mb["obs"], mb["actions"])
        logratio = newlogprob - mb["logprobs"]
        ratio = logratio.exp()
        # http://joschu.net/blog/kl-approx.html
        approx_kl = ((ratio - 1) - logratio).mean()
        adv = mb["advantages"]
        if args.norm_adv and adv.std() > 1e-6:
            adv = (adv - adv.mean()) / (adv.std() + 1e-8)
        pg_loss = torch.max(-adv * ratio, -adv * ratio.clamp(1 - args.clip_coef, 1 + args.clip_coef)).mean()
        v_loss = (newvalue - mb["returns"]) ** 2
        if args.clip_vloss:
            v_clipped = mb["values"] + (newvalue - mb["values"]).clamp(-args.clip_coef, args.clip_coef)
            v_loss = torch.max(v_loss, (v_clipped - mb["returns"]) ** 2)
        return pg_loss - args.ent_coef * entropy.mean() + args.vf_coef * 0.5 * v_loss.mean(), approx_kl

    def forward(self, batch: Dict[str, torch.Tensor]) -> torch.Tensor:
        size = batch["obs"].shape[0] // self.args.num_minibatches
        total = torch.zeros(())
        for start in range(0, batch["obs"].shape[0], size):
            mb = {k: v[start:start + size] for k, v in batch.items()}
            loss, approx_kl = self.minibatch_loss(mb)
            total = total + loss
            if self.args.target_kl is not None and approx_kl > self.args.target_kl:
                break
        return total


def rollout(n: int, offset: float) -> Dict[str, torch.Tensor]:
    logp = torch.randn(n, 3).mul(0.1).log_softmax(-1)[:, 0] - torch.linspace(0, offset, n)
    return dict(obs=torch.randn(n, 5), actions=torch.randint(0, 3, (n,)), logprobs=logp,
                advantages=torch.randn(n), returns=torch.randn(n), values=torch.randn(n))


@graphfix.target
def ppo_kl_break() -> Iterator[graphfix.Call]:
    """A rollout near the policy, one far off it, and one with flat advantages."""
    torch.manual_seed(0)
    loss = PPOLoss(Agent(), PPOArgs(target_kl=0.08)).eval()
    yield graphfix.Call(loss, rollout(16, 0.0))
    yield graphfix.Call(loss, rollout(16, 1.0))
    flat = rollout(24, 0.2)
    flat["advantages"] = torch.ones(24)
    yield graphfix.Call(loss, flat)
