"""Dense connections by hand: every call appends its features to a list and mixes all of them so far."""
import torch

import graphfix


class FeatureHistory:
    """Keeps what earlier stages produced; a later stage sees the mean of all of it."""

    def __init__(self):
        self.stages = []

    def push(self, feats):
        mixed = torch.tanh(feats)
        self.stages.append(mixed)
        return torch.stack(self.stages).mean(dim=0) + feats


@graphfix.target
def stages():
    torch.manual_seed(4)
    history = FeatureHistory()
    for _ in range(5):
        yield graphfix.Call(history.push, torch.randn(2, 3))
