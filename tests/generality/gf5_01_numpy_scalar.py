"""Vision: a window is built with NumPy, and one NumPy number of it scales a tensor."""
import numpy as np
import torch
from torch import nn

import graphfix


class Blur(nn.Module):
    def __init__(self, size: int = 5, sigma: float = 1.2):
        super().__init__()
        self.size, self.sigma = size, sigma

    def kernel(self) -> np.ndarray:
        r = np.arange(self.size) - self.size // 2
        return np.exp(-0.5 * (r / self.sigma) ** 2)

    def forward(self, img: torch.Tensor) -> torch.Tensor:
        k = self.kernel()
        total = float(k.sum())
        weight = torch.from_numpy(k).to(img) / total
        return torch.nn.functional.conv1d(img[:, None], weight[None, None], padding=self.size // 2)[:, 0]


@graphfix.target
def blur():
    m = Blur()
    yield graphfix.Call(m, torch.randn(2, 9))
    yield graphfix.Call(m, torch.randn(1, 12))
