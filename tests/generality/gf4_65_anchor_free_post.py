"""Anchor-free detector head whose postprocessing always gives ``max_det`` boxes.

Peaks (local maxima) above the threshold are kept, sorted by score, cut to the
maximum and padded with zeros, so that the tracker behind gets fixed shapes.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator

import torch
import torch.nn as nn
import torch.nn.functional as F

import graphfix


@dataclass
class PostprocessConfig:
    score_thr: float = 0.5
    max_det: int = 6
    kernel: int = 3


class CenterHead(nn.Module):
    def __init__(self, cfg: PostprocessConfig | None = None, cin: int = 3) -> None:
        super().__init__()
        self.cfg = cfg or PostprocessConfig()
        self.stem = nn.Conv2d(cin, 8, 3, padding=1)
        self.heat = nn.Conv2d(8, 1, 1)
        self.wh = nn.Conv2d(8, 2, 1)

    def _peaks(self, heat: torch.Tensor) -> torch.Tensor:
        k = self.cfg.kernel
        pooled = F.max_pool2d(heat, k, stride=1, padding=k // 2)
        return heat * (pooled == heat)

    def _decode_one(self, heat: torch.Tensor, wh: torch.Tensor) -> torch.Tensor:
        """(H, W), (2, H, W) -> (max_det, 5) with x1, y1, x2, y2, score."""
        ys, xs = torch.nonzero(heat > self.cfg.score_thr, as_tuple=True)
        scores = heat[ys, xs]
        sizes = wh[:, ys, xs].T
        centers = torch.stack([xs, ys], dim=-1).float()
        boxes = torch.cat([centers - sizes / 2, centers + sizes / 2, scores[:, None]], dim=-1)

        order = scores.argsort(descending=True)[: self.cfg.max_det]
        boxes = boxes[order]
        missing = self.cfg.max_det - boxes.shape[0]
        if missing > 0:
            boxes = F.pad(boxes, (0, 0, 0, missing))
        return boxes

    def forward(self, img: torch.Tensor) -> torch.Tensor:
        feat = torch.relu(self.stem(img))
        heat = self._peaks(self.heat(feat).sigmoid()).squeeze(1)
        wh = F.softplus(self.wh(feat))
        return torch.stack([self._decode_one(h, s) for h, s in zip(heat, wh)])


@graphfix.target
def center_head() -> Iterator[graphfix.Call]:
    """More peaks than boxes, then fewer, then next to none."""
    torch.manual_seed(0)
    model = CenterHead().eval().requires_grad_(False)
    yield graphfix.Call(model, 3 * torch.randn(2, 3, 16, 16))
    yield graphfix.Call(model, 0.3 * torch.randn(1, 3, 6, 6))
    yield graphfix.Call(model, torch.randn(1, 3, 4, 4) + 20.0)
