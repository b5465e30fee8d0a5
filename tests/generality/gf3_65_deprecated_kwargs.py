"""Segmentation head that still takes its old keyword names, with warnings.

Old check points call ``forward(x, size=..., align=...)``; the new names are
``output_size`` and ``align_corners``.
"""
import os
import warnings
from typing import Iterator, Optional, Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F

import graphfix

_seen = set()


def warn_once(msg: str, category=FutureWarning) -> None:
    """Show a message the first time only."""
    if msg in _seen:
        return
    _seen.add(msg)
    print(f"{category.__name__}: {msg} (pid {os.getpid()})")


class ConvBNReLU(nn.Sequential):
    def __init__(self, cin: int, cout: int, k: int = 3):
        super().__init__(nn.Conv2d(cin, cout, k, padding=k // 2, bias=False), nn.BatchNorm2d(cout), nn.ReLU())


class SegHead(nn.Module):
    weight_file = "weights/seg_head.pth"

    def __init__(self, cin: int = 3, mid: int = 8, classes: int = 4):
        super().__init__()
        self.block = ConvBNReLU(cin, mid)
        self.cls = nn.Conv2d(mid, classes, 1)

    def forward(self, x: torch.Tensor, output_size: Optional[Tuple[int, int]] = None,
                align_corners: bool = False, **kwargs) -> torch.Tensor:
        if "size" in kwargs:
            warnings.warn("'size' is deprecated, use 'output_size'", DeprecationWarning, stacklevel=2)
            output_size = kwargs.pop("size")
        if "align" in kwargs:
            warn_once(f"'align' is deprecated, see {os.path.basename(self.weight_file)}; use 'align_corners'")
            align_corners = kwargs.pop("align")
        logits = self.cls(self.block(x))
        if output_size is not None:
            logits = F.interpolate(logits, size=output_size, mode="bilinear", align_corners=align_corners)
        if logits.shape[-1] != x.shape[-1]:
            print("note: logits of {}x{} for an image of {}x{}".format(*logits.shape[-2:], *x.shape[-2:]))
        return logits.softmax(dim=1)


@graphfix.target
def seg_head() -> Iterator[graphfix.Call]:
    """Old keywords, then new ones, then none."""
    torch.manual_seed(0)
    model = SegHead().eval().requires_grad_(False)
    x = torch.randn(1, 3, 10, 10)
    yield graphfix.Call(model, x, size=(20, 20), align=True)
    yield graphfix.Call(model, x, output_size=(5, 5))
    yield graphfix.Call(model, torch.randn(2, 3, 6, 8))
