"""Eye region re-identification: crop a fixed window around a predicted point.

The first network finds a heat map peak, the second one looks at a 12 x 12
window cut from the image around it.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator

import torch
import torch.nn as nn

import graphfix


@dataclass(frozen=True)
class CropSpec:
    size: int = 12
    stride: int = 2   # of the heat map


class PeakFinder(nn.Module):
    def __init__(self, c: int = 6):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(1, c, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(c, 1, 1))

    def forward(self, img: torch.Tensor) -> torch.Tensor:
        return self.net(img).squeeze(1)


class FixedCropReid(nn.Module):
    """Embeds the window around the peak of every image in the batch."""

    def __init__(self, spec: CropSpec = CropSpec(), dim: int = 8) -> None:
        super().__init__()
        self.spec = spec
        self.finder = PeakFinder()
        self.embed = nn.Linear(spec.size * spec.size, dim)

    def _crop(self, img: torch.Tensor, heat: torch.Tensor) -> torch.Tensor:
        h, w = img.shape[-2:]
        s = self.spec.size
        flat = int(heat.argmax())
        cy = (flat // heat.shape[-1]) * self.spec.stride
        cx = (flat % heat.shape[-1]) * self.spec.stride
        # keep the window inside of the image
        top = min(max(cy - s // 2, 0), h - s)
        left = min(max(cx - s // 2, 0), w - s)
        return img[:, top : top + s, left : left + s]

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        heat = self.finder(images)
        crops = []
        for img, hm in zip(images, heat):
            crops.append(self._crop(img, hm))
        patch = torch.stack(crops)
        feat = self.embed(patch.flatten(1))
        return nn.functional.normalize(feat, dim=-1), heat.amax(dim=(1, 2))


@graphfix.target
def fixed_crop_reid() -> Iterator[graphfix.Call]:
    """Square and wide images; the peak moves with the data."""
    torch.manual_seed(0)
    model = FixedCropReid().eval().requires_grad_(False)
    yield graphfix.Call(model, torch.randn(2, 1, 32, 32))
    yield graphfix.Call(model, torch.randn(3, 1, 20, 40))
