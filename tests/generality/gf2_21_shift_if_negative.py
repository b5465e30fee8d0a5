"""A defensive shift: the condition mixes what Python knows with what only the tensor knows."""
import torch

import graphfix


def to_counts(values, *, clip_at: int | None = None):
    if torch.is_tensor(values) and values.numel() and values.min() < 0:
        values = values - values.min()
    if clip_at is not None:
        values = values.clamp(max=clip_at)
    return torch.log1p(values)


@graphfix.target
def counts():
    yield graphfix.Call(to_counts, torch.tensor([3.0, -1.0, 2.0]))
    yield graphfix.Call(to_counts, torch.tensor([[3.0, 1.0], [0.0, 5.0]]), clip_at=4)
