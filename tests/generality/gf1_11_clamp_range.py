"""Vision: an image is stretched between two quantiles that are read as numbers and handed on by keyword."""
import torch
from torch import Tensor, nn

import graphfix


class Stretch(nn.Module):
    def __init__(self, lo: float = 0.05, hi: float = 0.95):
        super().__init__()
        self.lo, self.hi = lo, hi

    def limits(self, img: Tensor) -> tuple[float, float]:
        flat = img.flatten()
        return torch.quantile(flat, self.lo).item(), torch.quantile(flat, self.hi).item()

    def forward(self, img: Tensor) -> Tensor:
        low, high = self.limits(img)
        return (img.clamp(min=low, max=high) - low) \
            / (high - low)


@graphfix.target
def stretch():
    yield graphfix.Call(Stretch(), torch.randn(1, 6, 6))
    yield graphfix.Call(Stretch(lo=0.1), torch.randn(3, 4, 5))
