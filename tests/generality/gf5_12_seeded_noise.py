"""Noise from a generator with a seed of its own.

Nobody can repair this: the very numbers of a torch.Generator are wanted, and a graph cannot draw from one.
"""
import torch

import graphfix


def seeded_noise(like: torch.Tensor, seed: int = 7) -> torch.Tensor:
    generator = torch.Generator(device=like.device)
    generator.manual_seed(seed)
    return like + torch.randn(like.shape, generator=generator)


@graphfix.target
def noise():
    yield graphfix.Call(seeded_noise, torch.zeros(3))
    yield graphfix.Call(seeded_noise, torch.zeros(2, 2), seed=11)
