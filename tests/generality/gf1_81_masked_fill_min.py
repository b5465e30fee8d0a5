"""Fill the padded scores with the smallest score in the batch."""
import torch

import graphfix


def fill_with_min(scores, mask):
    lowest = scores.min().item()
    return scores.masked_fill(~mask, lowest)


@graphfix.target
def masked_fill_min():
    torch.manual_seed(0)
    yield graphfix.Call(fill_with_min, torch.randn(3, 5), torch.rand(3, 5) > 0.4)
    yield graphfix.Call(fill_with_min, torch.randn(2, 4), mask=torch.ones(2, 4, dtype=torch.bool))
