"""SIREN field: coordinates are cloned, detached and marked requires_grad_ in forward; omegas deep-copied."""
import copy
from typing import Any, Dict

import numpy as np
import torch
from torch import nn

import graphfix


class Sine(nn.Module):
    def __init__(self, n_in: int, n_out: int, omega: float = 30.0):
        super().__init__()
        self.omega = omega
        self.linear = nn.Linear(n_in, n_out)
        with torch.no_grad():
            lim = np.sqrt(6 / n_in) / omega
            self.linear.weight.uniform_(-lim, lim)

    def forward(self, x):
        return torch.sin(self.omega * self.linear(x))


class Siren(nn.Module):
    def __init__(self, hidden: int = 6):
        super().__init__()
        self.net = nn.Sequential(Sine(2, hidden), Sine(hidden, hidden), nn.Linear(hidden, 1))

    def forward(self, batch: Dict[str, Any]) -> Dict[str, Any]:
        out = copy.deepcopy({k: v for k, v in batch.items() if k != "coords"})
        coords = batch["coords"].clone().detach().requires_grad_(True)  # lets us take d/dx
        out["value"] = self.net(coords)
        return out


@graphfix.target
def field():
    torch.manual_seed(23)
    net = Siren()
    yield graphfix.Call(net, {"coords": torch.rand(4, 2), "idx": torch.tensor([3])})
    yield graphfix.Call(net, batch={"coords": torch.rand(1, 3, 2) * 2 - 1})
