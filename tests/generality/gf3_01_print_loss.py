"""A training step prints its loss over several lines, with a comment inside the call."""
import torch
from torch import nn

import graphfix


class Regressor(nn.Module):
    def __init__(self, verbose: bool = True):
        super().__init__()
        self.body = nn.Linear(3, 1)
        self.verbose = verbose

    def loss(self, x, y):
        err = self.body(x).squeeze(-1) - y
        if self.verbose:
            print(
                "batch", x.shape[0],
                # the worst one is what we look for
                "worst", err.abs().max(),
                sep="\t",
            )
        return err.square().mean()


@graphfix.target
def regress():
    m = Regressor().requires_grad_(False)
    yield graphfix.Call(m.loss, torch.randn(4, 3), torch.randn(4))
    yield graphfix.Call(m.loss, x=torch.randn(6, 3), y=torch.randn(6))
