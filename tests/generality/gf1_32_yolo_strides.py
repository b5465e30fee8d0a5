"""YOLO-ish head: the `strides` buffer is turned into Python ints for every forward to place the grid."""
from typing import List, Tuple

import torch
from torch import Tensor, nn

from graphfix import Call, target


class DetectHead(nn.Module):
    strides: Tensor

    def __init__(self, ch: Tuple[int, ...] = (4, 6), no: int = 4):
        super().__init__()
        self.cv = nn.ModuleList(nn.Conv2d(c, no, 1) for c in ch)
        self.register_buffer("strides", torch.tensor([8, 16]))

    @staticmethod
    def _grid(h: int, w: int) -> Tensor:
        yy, xx = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        return torch.stack((xx, yy), 0).float() + 0.5

    def forward(self, feats: List[Tensor]) -> Tensor:
        z = []
        for conv, f, s in zip(self.cv, feats, self.strides.tolist()):
            p = conv(f)
            h, w = p.shape[-2:]
            xy = (p[:, :2].sigmoid() * 2 - 1 + self._grid(h, w)) * s
            wh = p[:, 2:].exp() * (s * 4)
            z.append(torch.cat([xy, wh], 1).flatten(2))
        return torch.cat(z, -1)


@target
def head():
    torch.manual_seed(1)
    m = DetectHead().eval().requires_grad_(False)
    yield Call(m, [torch.randn(1, 4, 4, 4), torch.randn(1, 6, 2, 2)])
    yield Call(m, feats=[torch.randn(2, 4, 2, 6), torch.randn(2, 6, 1, 3)])
