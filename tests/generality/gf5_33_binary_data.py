"""BinaryNet-like layer: activations are binarised by assigning `.data` of a tensor made in forward."""
import torch
import torch.nn as nn
import torch.nn.functional as F

import graphfix


def binarize(t, det=True):
    if det:
        return t.sign()
    return t.add(1).div(2).clamp(0, 1).round().mul(2).add(-1)


class BinarizeLinear(nn.Linear):
    def __init__(self, *kargs, det=True, **kwargs):
        super().__init__(*kargs, **kwargs)
        self.det = det

    def forward(self, input):
        act = F.hardtanh(input)
        act.data = binarize(act.data, det=self.det)
        out = F.linear(act, self.weight)
        if self.bias is not None:
            out += self.bias.view(1, -1).expand_as(out)
        return out


@graphfix.target
def layer():
    torch.manual_seed(22)
    yield graphfix.Call(BinarizeLinear(5, 3).requires_grad_(False), torch.randn(4, 5))
    yield graphfix.Call(BinarizeLinear(5, 2, bias=False, det=False).requires_grad_(False), input=torch.randn(2, 5) * 3)
