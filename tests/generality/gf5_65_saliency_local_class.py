"""Occlusion saliency for a small classifier, with a result class made in forward.

Also switches ``requires_grad_`` on its working copy, which is left from the
time when the map was a gradient.
"""
from typing import Iterator

import torch
import torch.nn as nn
from torch import Tensor

import graphfix


def windows(size: int, patch: int) -> Iterator[tuple]:
    """Top-left corners of the occluding patches, row by row."""
    for top in range(0, size, patch):
        for left in range(0, size, patch):
            yield top, left


class Classifier(nn.Module):
    def __init__(self, classes: int = 3):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.fc = nn.Linear(4, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.relu(self.conv(x)).mean(dim=(2, 3)))


class OcclusionSaliency(nn.Module):
    def __init__(self, patch: int = 4, fill: float = 0.0):
        super().__init__()
        self.model = Classifier()
        self.patch = patch
        self.fill = fill

    def forward(self, img: Tensor) -> Tensor:
        from collections import namedtuple

        Occlusion = namedtuple("Occlusion", ["top", "left", "drop"])

        class Accumulator:
            """Collects the drops and paints them."""

            def __init__(self, like: Tensor) -> None:
                self.map = torch.zeros_like(like)

            def add(self, occ, patch: int) -> None:
                self.map[..., occ.top : occ.top + patch, occ.left : occ.left + patch] = occ.drop[:, None, None, None]

        work = img.detach().clone().requires_grad_(True)
        base, target = self.model(work).softmax(-1).max(dim=-1)
        acc = Accumulator(img)
        for top, left in windows(img.shape[-1], self.patch):
            masked = work.data.clone()
            masked[..., top : top + self.patch, left : left + self.patch] = self.fill
            prob = self.model(masked).softmax(-1).gather(1, target[:, None]).squeeze(1)
            acc.add(Occlusion(top, left, (base - prob).detach()), self.patch)
        return acc.map


@graphfix.target
def occlusion_saliency() -> Iterator[graphfix.Call]:
    """Two image sizes."""
    torch.manual_seed(0)
    model = OcclusionSaliency().eval().requires_grad_(False)
    yield graphfix.Call(model, torch.randn(2, 1, 8, 8))
    yield graphfix.Call(model, torch.randn(1, 1, 12, 12))
