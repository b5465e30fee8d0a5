"""Environment step that deep-copies the state before it changes it."""
import copy

import torch

import graphfix


def step(state, action, dt=0.1):
    new = copy.deepcopy(state)
    new[:, 1] += action * dt
    new[:, 0] += new[:, 1] * dt
    return new, -(new[:, 0] ** 2)


@graphfix.target
def deepcopy_state():
    torch.manual_seed(1)
    yield graphfix.Call(step, torch.randn(3, 2), torch.randn(3))
    yield graphfix.Call(step, torch.randn(1, 2), action=torch.ones(1), dt=0.5)
