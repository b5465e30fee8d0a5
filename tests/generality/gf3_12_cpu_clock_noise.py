"""A digest of the process is mixed into the result.

Nobody can repair this: what the operating system answers is part of the output, and no graph can ask it.
"""
import os

import torch

import graphfix


def salted(x: torch.Tensor) -> torch.Tensor:
    salt = len(os.getcwd()) % 7
    return x + salt


@graphfix.target
def salting():
    yield graphfix.Call(salted, torch.zeros(3))
    yield graphfix.Call(salted, torch.ones(2, 2))
