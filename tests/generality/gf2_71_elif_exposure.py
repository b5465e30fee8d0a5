"""Auto-exposure: pick a tone curve from how bright the picture is."""
import torch
from torch import nn

import graphfix


class AutoExposure(nn.Module):
    def __init__(self, dark=0.25, bright=0.75):
        super().__init__()
        self.dark = dark
        self.bright = bright
        self.mix = nn.Conv2d(3, 3, 1)

    def curve(self, img):
        luma = img.mean()
        spread = img.std()
        if self.dark <= luma <= self.bright:
            return img
        elif luma < self.dark and not spread > 0.5:
            return img.clamp(min=1e-6).pow(0.5)
        else:
            return img / (1 + img.abs())

    def forward(self, img):
        out = self.curve(img)
        return torch.sigmoid(self.mix(out))


@graphfix.target
def auto_exposure():
    torch.manual_seed(2)
    m = AutoExposure().eval().requires_grad_(False)
    yield graphfix.Call(m, torch.rand(1, 3, 6, 6) * 0.2)         # dark
    yield graphfix.Call(m, torch.rand(2, 3, 6, 6))               # well exposed
    yield graphfix.Call(m, torch.rand(1, 3, 4, 8) + 1.0)         # blown out
