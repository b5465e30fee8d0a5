"""Diffusion (DDIM) update: alphas_cumprod is indexed, made a float and fed to math.sqrt."""
import math
import torch
from dataclasses import dataclass, field
import graphfix


@dataclass
class DDIM:
    n: int = 50
    alphas_cumprod: torch.Tensor = field(default=None)

    def __post_init__(self):
        if self.alphas_cumprod is None:
            self.alphas_cumprod = torch.cumprod(1 - torch.linspace(1e-4, 2e-2, self.n), 0)

    def _a(self, t: int) -> float:
        return self.alphas_cumprod[t].item() if t >= 0 else 1.0

    def step(self, eps: torch.Tensor, t: int, sample: torch.Tensor, *, stride: int = 10) -> torch.Tensor:
        a_t, a_prev = self._a(t), self._a(t - stride)
        x0 = (sample - math.sqrt(1 - a_t) * eps) / math.sqrt(a_t)
        x0 = x0.clamp(-1, 1)
        return math.sqrt(a_prev) * x0 + math.sqrt(1.0 - a_prev) * eps


@graphfix.target
def ddim_step():
    torch.manual_seed(2)
    sched = DDIM()
    yield graphfix.Call(sched.step, torch.randn(1, 3, 4, 4), 40, torch.randn(1, 3, 4, 4))
    yield graphfix.Call(sched.step, torch.randn(2, 1, 2, 2), t=5, sample=torch.randn(2, 1, 2, 2))
