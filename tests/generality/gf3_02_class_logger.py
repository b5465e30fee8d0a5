"""A logger kept on the class under another name, called with lazy arguments in a chained method."""
import logging

import torch
from torch import nn

import graphfix


class Traced(nn.Module):
    journal = logging.getLogger("speech.frontend")

    def note(self, what: str, value: torch.Tensor) -> torch.Tensor:
        self.journal.debug("%s: %s", what, tuple(value.shape))
        return value


class Frontend(Traced):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 2, kernel_size=3)

    def forward(self, wav: torch.Tensor) -> torch.Tensor:
        return self.note("out", self.conv(self.note("in", wav[:, None]))).relu()


@graphfix.target
def frontend():
    f = Frontend().requires_grad_(False)
    yield graphfix.Call(f, torch.randn(2, 12))
    yield graphfix.Call(f, torch.randn(1, 20))
