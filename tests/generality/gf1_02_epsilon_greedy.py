"""Reinforcement learning: an exploration rate kept in a buffer of a submodule, read in a keyword argument."""
import torch
from torch import nn

import graphfix


class Explorer(nn.Module):
    rate: torch.Tensor

    def __init__(self, start=0.3):
        super().__init__()
        self.register_buffer('rate', torch.tensor(start))

    def noisy(self, q_values, noise):
        return torch.add(q_values, noise,
                         alpha=self.rate.item())


class Agent(nn.Module):
    def __init__(self, obs_dim=4, n_actions=3):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(obs_dim, 8), nn.Tanh(), nn.Linear(8, n_actions))
        self.explorer = Explorer()

    @torch.no_grad()
    def act(self, obs, noise):
        q = self.net(obs)
        return self.explorer.noisy(q_values=q, noise=noise).argmax(dim=-1)


@graphfix.target
def act():
    agent = Agent()
    yield graphfix.Call(agent.act, torch.randn(5, 4), noise=torch.randn(5, 3))
    yield graphfix.Call(agent.act, torch.randn(9, 4), noise=torch.randn(9, 3))
