"""torchvision-like RoI head entry: validates the proposals, then decodes the regression deltas."""
import math

import torch
from torch import nn

import graphfix


class BoxDecoder(nn.Module):
    weights = (10.0, 10.0, 5.0, 5.0)

    def __init__(self, dim=8):
        super().__init__()
        self.bbox_pred = nn.Linear(dim, 4)
        self.bbox_xform_clip = math.log(1000.0 / 16)

    def check_boxes(self, boxes):
        degenerate = boxes[:, 2:] <= boxes[:, :2]
        if degenerate.any():
            raise ValueError("All bounding boxes should have positive height and width.")

    def forward(self, feats, boxes):
        self.check_boxes(boxes)
        assert torch.isfinite(feats).all(), "features must be finite"
        wx, wy, ww, wh = self.weights
        wh_box = boxes[:, 2:] - boxes[:, :2]
        ctr = boxes[:, :2] + 0.5 * wh_box
        deltas = self.bbox_pred(feats)
        dxy = deltas[:, :2] / deltas.new_tensor([wx, wy])
        dwh = (deltas[:, 2:] / deltas.new_tensor([ww, wh])).clamp(max=self.bbox_xform_clip)
        new_ctr = dxy * wh_box + ctr
        half = 0.5 * dwh.exp() * wh_box
        return torch.cat([new_ctr - half, new_ctr + half], dim=1)


@graphfix.target
def degenerate_boxes():
    torch.manual_seed(4)
    dec = BoxDecoder().eval().requires_grad_(False)
    for n in (3, 6):
        tl = torch.rand(n, 2) * 50
        yield graphfix.Call(dec, torch.randn(n, 8), boxes=torch.cat([tl, tl + 1 + torch.rand(n, 2) * 20], 1))
