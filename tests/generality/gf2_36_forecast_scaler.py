"""Time-series scaler: a ternary on a chained comparison; a second check only logs."""
import logging
import torch
from torch import nn
import graphfix

logger = logging.getLogger(__name__)


class WindowScaler(nn.Module):
    def __init__(self, lower: float = 1e-5, upper: float = 1e3):
        super().__init__()
        self.lower = lower
        self.upper = upper

    def forward(self, past_values, observed=None):
        if observed is None:
            observed = torch.ones_like(past_values)
        mean_abs = (past_values.abs() * observed).sum() / observed.sum().clamp(min=1)

        scale = (
            mean_abs
            if self.lower <= mean_abs <= self.upper   # otherwise leave the window alone
            else torch.ones_like(mean_abs)
        )
        scaled = past_values / scale
        if scaled.abs().max() > 100:
            logger.warning("window looks badly scaled (lower=%s, upper=%s)", self.lower, self.upper)
        return scaled, scale


@graphfix.target
def scaler():
    torch.manual_seed(8)
    s = WindowScaler()
    yield graphfix.Call(s, torch.randn(2, 8) * 20)
    yield graphfix.Call(s, torch.zeros(2, 8), observed=torch.ones(2, 8))
    yield graphfix.Call(s, torch.full((1, 4), 5e3))
