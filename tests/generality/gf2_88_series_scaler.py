"""Time-series context scaling: which scaler is used depends on how much of the window was observed."""
import torch
from torch import Tensor, nn

import graphfix


class ContextScaler(nn.Module):
    """Mean-absolute scaling, falling back to a default scale for empty windows."""

    def __init__(self, default_scale=1.0, minimum=1e-3, horizon=3, context=8):
        super().__init__()
        self.default_scale, self.minimum = default_scale, minimum
        self.proj = nn.Linear(context, horizon)

    def compute(self, x: Tensor, observed: Tensor):
        n_obs = observed.sum()
        ratio = n_obs / observed.numel()
        if n_obs == 0:
            loc, scale = x.new_tensor(0.0), x.new_tensor(self.default_scale)
        elif ratio < 0.5 and not (x * observed).min() < 0:
            loc = x.new_tensor(0.0)
            scale = (x.abs() * observed).sum() / n_obs
        else:
            loc = (x * observed).sum() / n_obs
            scale = (((x - loc) ** 2 * observed).sum() / n_obs).sqrt()
        return loc, scale.clamp(min=self.minimum)

    def forward(self, past: Tensor, observed: Tensor) -> Tensor:
        loc, scale = self.compute(past, observed)
        y = self.proj((past - loc) / scale * observed)
        return y * scale + loc


@graphfix.target
def series_scaler():
    torch.manual_seed(7)
    m = ContextScaler().eval().requires_grad_(False)
    yield graphfix.Call(m, torch.rand(2, 8) * 9, torch.zeros(2, 8))                    # nothing seen
    yield graphfix.Call(m, torch.randn(3, 8) * 5 + 2, observed=torch.ones(3, 8))       # all seen
    yield graphfix.Call(m, torch.rand(1, 8), (torch.arange(8) < 3).float()[None])      # sparse
