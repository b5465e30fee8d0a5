"""Classifier-free guidance which is applied only within an interval of noise levels.

Outside of the interval the unconditional pass is left out, as in
"Applying guidance in a limited interval".
"""
from dataclasses import dataclass
from typing import Iterator

import torch
import torch.nn as nn

import graphfix


@dataclass
class GuidanceConfig:
    scale: float = 4.0
    sigma_lo: float = 0.3
    sigma_hi: float = 5.0
    rescale: float = 0.7


class Backbone(nn.Module):
    def __init__(self, dim: int = 8, classes: int = 4):
        super().__init__()
        self.null_class = classes
        self.label = nn.Embedding(classes + 1, dim)
        self.mlp = nn.Sequential(nn.Linear(dim + 1, 32), nn.GELU(), nn.Linear(32, dim))

    def forward(self, x: torch.Tensor, sigma: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        c_noise = sigma.log().expand(x.shape[0], 1) / 4
        return self.mlp(torch.cat([x + self.label(y), c_noise], dim=-1))


class GuidedDenoiser(nn.Module):
    def __init__(self, backbone: Backbone, config: GuidanceConfig):
        super().__init__()
        self.backbone = backbone
        self.config = config

    def forward(self, x: torch.Tensor, sigma: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        cfg = self.config
        cond = self.backbone(x, sigma, labels)
        if sigma < cfg.sigma_lo or sigma > cfg.sigma_hi:
            return x - sigma * cond

        uncond = self.backbone(x, sigma, torch.full_like(labels, self.backbone.null_class))
        guided = uncond + cfg.scale * (cond - uncond)
        if cfg.rescale > 0:
            factor = cond.std(dim=-1, keepdim=True) / guided.std(dim=-1, keepdim=True)
            guided = guided * (cfg.rescale * factor + 1 - cfg.rescale)
        out = x - sigma * guided
        if torch.isnan(out).any():
            # half precision overflow in the guided branch, fall back
            out = x - sigma * cond
        return out


@graphfix.target
def guided_denoiser() -> Iterator[graphfix.Call]:
    """Inside the interval, below it, above it."""
    torch.manual_seed(0)
    model = GuidedDenoiser(Backbone(), GuidanceConfig()).eval().requires_grad_(False)
    labels = torch.tensor([0, 3, 1])
    for sigma in (1.0, 0.1, 20.0):
        yield graphfix.Call(model, torch.randn(3, 8), torch.tensor(sigma), labels)
