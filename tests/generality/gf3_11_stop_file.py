"""A long loop that a file on the disk can stop.

Nobody can repair this: whether the file exists must be asked in every call, and decides how much is computed.
"""
import os

import torch

import graphfix


def anneal(x: torch.Tensor, stop_file: str = "/nonexistent/stop") -> torch.Tensor:
    for k in range(1, 4):
        if os.path.exists(stop_file):
            break
        x = x * 0.9 + 0.1 / k
    return x


@graphfix.target
def annealing():
    yield graphfix.Call(anneal, torch.randn(3))
    yield graphfix.Call(anneal, torch.randn(2, 2))
