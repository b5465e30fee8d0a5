"""Latent-diffusion decode_first_stage: an ExitStack of precision scopes, a guarded scale factor, jit leftovers."""
import contextlib
from typing import List

import torch
from torch import nn

import graphfix


class FirstStage(nn.Module):
    def __init__(self, ch=4, scale_factor=0.18215, disable_cudnn=True):
        super().__init__()
        self.register_buffer("scale_factor", torch.tensor(scale_factor))
        self.disable_cudnn = disable_cudnn
        self.post_quant = nn.Conv2d(ch, ch, 1)
        self.decoder = nn.Conv2d(ch, 3, 3, padding=1)

    def get_scale(self):
        try:
            return self.scale_factor.item()
        except (AttributeError, ValueError):      # plain float, or not a single value
            return 1.0

    def scopes(self, stack, autocast):
        stack.enter_context(torch.no_grad())
        if self.disable_cudnn:
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        if autocast:
            stack.enter_context(torch.autocast("cpu", dtype=torch.bfloat16))

    def forward(self, z, autocast=False):
        if torch.jit.isinstance(z, List[torch.Tensor]):
            z = torch.cat(z)
        with contextlib.ExitStack() as stack:
            self.scopes(stack, autocast)
            x = self.decoder(self.post_quant(z / self.get_scale()))
        return x.float().clamp(-1, 1)


@graphfix.target
def precision_scope_vae():
    torch.manual_seed(7)
    vae = FirstStage().eval().requires_grad_(False)
    yield graphfix.Call(vae, torch.randn(1, 4, 5, 5) * 0.1)
    yield graphfix.Call(vae, [torch.randn(1, 4, 3, 3) * 0.1, torch.randn(2, 4, 3, 3) * 0.1], autocast=True)
