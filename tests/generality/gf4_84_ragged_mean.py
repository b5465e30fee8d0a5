"""Ragged mean: expand segment ids with repeat_interleave, then scatter back to one row per segment."""
import torch

import graphfix


def ragged_mean(values, lengths):
    seg = torch.arange(lengths.numel(), device=lengths.device).repeat_interleave(lengths)
    sums = values.new_zeros(lengths.numel(), values.size(1)).index_add_(0, seg, values)
    return sums / lengths.clamp(min=1).unsqueeze(1)


@graphfix.target
def ragged_mean_target():
    torch.manual_seed(3)
    yield graphfix.Call(ragged_mean, torch.randn(6, 2), torch.tensor([2, 1, 3]))
    yield graphfix.Call(ragged_mean, torch.randn(5, 4), torch.tensor([0, 4, 0, 1]))
