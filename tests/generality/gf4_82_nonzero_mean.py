"""Mean feature over the rows that are kept."""
import torch

import graphfix


def mean_of_kept(feats, keep):
    idx = torch.nonzero(keep).squeeze(1)
    return feats[idx].sum(0) / max(idx.numel(), 1)


@graphfix.target
def nonzero_mean():
    torch.manual_seed(1)
    yield graphfix.Call(mean_of_kept, torch.randn(6, 3), torch.tensor([1, 0, 1, 1, 0, 0]))
    yield graphfix.Call(mean_of_kept, torch.randn(4, 5), keep=torch.zeros(4, dtype=torch.bool))
