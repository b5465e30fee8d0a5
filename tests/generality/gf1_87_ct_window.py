"""CT preprocessing: percentile clip, z-score over the foreground, optional window taken from a header."""
from dataclasses import dataclass

import torch

import graphfix


@dataclass
class WindowCfg:
    lower_q: float = 0.05
    upper_q: float = 0.95


class CTNormalize(torch.nn.Module):
    def __init__(self, cfg: WindowCfg = WindowCfg()):
        super().__init__()
        self.cfg = cfg
        self.head = torch.nn.Conv3d(1, 2, kernel_size=3, padding=1)

    @staticmethod
    def foreground_stats(vol, fg):
        count = fg.sum().clamp(min=1).item()
        mu = (vol * fg).sum().item() / count
        var = (((vol - mu) ** 2) * fg).sum().item() / count
        return mu, var ** 0.5

    def forward(self, vol, fg):
        cfg, flat = self.cfg, vol.flatten()
        a_min = torch.quantile(flat, cfg.lower_q).item()
        a_max = torch.quantile(flat, cfg.upper_q).item()
        vol = torch.clamp(vol, a_min, a_max)
        mu, sigma = self.foreground_stats(vol, fg.to(vol.dtype))
        vol = (vol - mu) / max(sigma, 1e-8)
        return self.head(vol)


@graphfix.target
def ct_window():
    torch.manual_seed(6)
    m = CTNormalize().eval().requires_grad_(False)
    v = torch.randn(1, 1, 4, 5, 5) * 300
    yield graphfix.Call(m, v, v > -100)
    w = torch.randn(2, 1, 3, 4, 4) * 50 + 40
    yield graphfix.Call(m, vol=w, fg=torch.zeros_like(w, dtype=torch.bool))
