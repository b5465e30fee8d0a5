"""Vision stem that warns once per message about odd input sizes or ranges."""
import warnings

import torch
from torch import nn

import graphfix

_SEEN: set = set()


def warn_once(msg, category=UserWarning):
    if msg in _SEEN:
        return
    _SEEN.add(msg)
    warnings.warn(msg, category, stacklevel=2)


class Stem(nn.Module):
    patch = 4

    def __init__(self, width=12):
        super().__init__()
        self.conv = nn.Conv2d(3, width, self.patch, stride=self.patch)
        self.norm = nn.GroupNorm(3, width)

    def forward(self, img):
        h, w = img.shape[-2:]
        if h % self.patch or w % self.patch:
            warn_once(f"image size {h}x{w} is not a multiple of {self.patch}; cropping")
            img = img[..., : h - h % self.patch, : w - w % self.patch]
        if img.max() > 2.0:
            warn_once("image looks like 0-255, not 0-1", RuntimeWarning)
        return self.norm(self.conv(img)).flatten(2).transpose(1, 2)


@graphfix.target
def stem():
    torch.manual_seed(19)
    s = Stem().eval().requires_grad_(False)
    yield graphfix.Call(s, torch.rand(1, 3, 8, 8))
    yield graphfix.Call(s, torch.rand(2, 3, 9, 14))
    yield graphfix.Call(s, 255 * torch.rand(1, 3, 8, 12))
