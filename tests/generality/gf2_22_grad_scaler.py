"""Loss scaler: a buffer is changed in place on both ways of a branch; one way counts as well."""
import torch
from torch import nn

import graphfix


class Scaler(nn.Module):
    def __init__(self, growth: float = 2.0, backoff: float = 0.5):
        super().__init__()
        self.growth, self.backoff = growth, backoff
        self.register_buffer("scale", torch.tensor(8.0))
        self.register_buffer("good_steps", torch.tensor(0))

    def update(self, grads: list[torch.Tensor]) -> torch.Tensor:
        found_inf = torch.stack([~torch.isfinite(g).all() for g in grads]).any()
        if found_inf:
            self.scale.mul_(self.backoff)
            self.good_steps.zero_()
        else:
            self.scale.mul_(self.growth)
            self.good_steps.add_(1)
        return self.scale.clone()


@graphfix.target
def scaler():
    s = Scaler()
    yield graphfix.Call(s.update, [torch.ones(2), torch.ones(3)])
    yield graphfix.Call(s.update, grads=[torch.ones(2), torch.tensor([1.0, float("inf")])])
