"""Clip a vector to a ball; return early when it is already inside."""
import torch

import graphfix


def project_to_ball(v, radius=1.0):
    norm = v.norm()
    if norm <= radius:
        return v
    return v * (radius / norm)


@graphfix.target
def early_return_norm():
    torch.manual_seed(1)
    yield graphfix.Call(project_to_ball, torch.randn(5) * 0.1)
    yield graphfix.Call(project_to_ball, torch.randn(8), radius=0.5)
