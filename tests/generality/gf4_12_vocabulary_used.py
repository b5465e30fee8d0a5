"""The distinct tokens of a batch, sorted.

Nobody can repair this by source alone: the length of the result is the number of distinct values.
"""
import torch

import graphfix


def used_tokens(ids: torch.Tensor, special: int = 0) -> torch.Tensor:
    flat = ids.reshape(-1)
    return torch.unique(flat * (flat != special), sorted=True)


@graphfix.target
def used():
    yield graphfix.Call(used_tokens, torch.tensor([[3, 1, 3], [0, 2, 1]]))
    yield graphfix.Call(used_tokens, torch.tensor([[5, 5, 7, 1]]), special=1)
