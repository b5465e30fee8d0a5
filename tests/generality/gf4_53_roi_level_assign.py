"""An ROI head that pools every box from its own pyramid level by boolean masks."""
import math
from typing import Iterator, List

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import graphfix


def box_area(boxes: Tensor) -> Tensor:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


class LevelMapper:
    """Determine which FPN level each RoI should map to, by eq. 1 of the FPN paper."""

    def __init__(self, k_min: int, k_max: int, canonical_scale: int = 32, canonical_level: int = 4, eps=1e-6):
        self.k_min, self.k_max = k_min, k_max
        self.s0, self.lvl0, self.eps = canonical_scale, canonical_level, eps

    def __call__(self, boxes: Tensor) -> Tensor:
        s = torch.sqrt(box_area(boxes))
        target = torch.floor(self.lvl0 + torch.log2(s / self.s0 + self.eps))
        return torch.clamp(target, min=self.k_min, max=self.k_max).to(torch.int64) - self.k_min


def roi_sample(feat: Tensor, boxes: Tensor, size: int, scale: float) -> Tensor:
    """Bilinear samples on a size x size grid within each box"""
    n = boxes.shape[0]
    H, W = feat.shape[-2:]
    b = boxes * scale
    t = (torch.arange(size, dtype=feat.dtype) + 0.5) / size
    xs = b[:, 0:1] + (b[:, 2:3] - b[:, 0:1]) * t
    ys = b[:, 1:2] + (b[:, 3:4] - b[:, 1:2]) * t
    grid = torch.stack([
        (2 * xs / W - 1)[:, None, :].expand(n, size, size),
        (2 * ys / H - 1)[:, :, None].expand(n, size, size),
    ], -1)
    return F.grid_sample(feat.expand(n, -1, -1, -1), grid, align_corners=False)


class MultiScaleRoIHead(nn.Module):
    def __init__(self, channels: int = 4, output_size: int = 3, scales=(0.25, 0.125), num_classes: int = 3):
        super().__init__()
        self.scales = list(scales)
        self.output_size = output_size
        lvl_min = int(-math.log2(scales[0]))
        self.map_levels = LevelMapper(lvl_min, lvl_min + len(scales) - 1)
        self.cls = nn.Linear(channels * output_size ** 2, num_classes)

    def forward(self, feats: List[Tensor], boxes: Tensor) -> Tensor:
        levels = self.map_levels(boxes)
        num_rois, c = len(boxes), feats[0].shape[1]
        result = torch.zeros((num_rois, c, self.output_size, self.output_size), dtype=feats[0].dtype)

        for level, (per_level_feature, scale) in enumerate(zip(feats, self.scales)):
            idx_in_level = torch.where(levels == level)[0]
            if idx_in_level.numel() == 0:
                continue
            rois_per_level = boxes[idx_in_level]
            pooled = roi_sample(per_level_feature, rois_per_level, self.output_size, scale)
            result[idx_in_level] = pooled.to(result.dtype)
        # ignore degenerate boxes
        result[box_area(boxes) < 1.0] = 0
        return self.cls(result.flatten(1)).softmax(-1)


@graphfix.target
def roi_level_assign() -> Iterator[graphfix.Call]:
    """Boxes of all sizes; small boxes alone."""
    torch.manual_seed(0)
    head = MultiScaleRoIHead().eval()
    feats = [torch.randn(1, 4, 16, 16), torch.randn(1, 4, 8, 8)]
    xy = torch.rand(7, 2) * 20
    wh = torch.tensor([4.0, 40.0, 10.0, 30.0, 0.5, 36.0, 16.0])[:, None].expand(7, 2)
    yield graphfix.Call(head, feats, torch.cat([xy, xy + wh], 1))
    yield graphfix.Call(head, feats, torch.cat([xy[:3], xy[:3] + 5], 1))
