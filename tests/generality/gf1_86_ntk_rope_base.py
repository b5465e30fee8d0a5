"""Rotary embedding with a dynamic NTK base: the base depends on the largest position seen."""
import torch
from torch import nn

import graphfix


class DynamicNTKRotary(nn.Module):
    def __init__(self, dim=8, max_position=16, base=10000.0, scaling_factor=2.0):
        super().__init__()
        self.dim, self.base = dim, base
        self.max_position = max_position
        self.scaling_factor = scaling_factor

    def _inv_freq(self, seq_len, device):
        # never below the length it was trained with
        seq_len = max(seq_len, self.max_position)
        base = self.base * (
            (self.scaling_factor * seq_len / self.max_position) - (self.scaling_factor - 1)
        ) ** (self.dim / (self.dim - 2))
        exponent = torch.arange(0, self.dim, 2, device=device).float() / self.dim
        return 1.0 / (base ** exponent)

    @torch.no_grad()
    def forward(self, x, position_ids):
        seq_len = int(position_ids.max()) + 1
        inv_freq = self._inv_freq(seq_len, x.device)
        freqs = position_ids[..., None].float() * inv_freq
        emb = torch.cat((freqs, freqs), dim=-1)
        return emb.cos().to(x.dtype), emb.sin().to(x.dtype)


@graphfix.target
def ntk_rope_base():
    torch.manual_seed(5)
    rope = DynamicNTKRotary().eval()
    yield graphfix.Call(rope, torch.randn(1, 6, 8), torch.arange(6)[None])
    yield graphfix.Call(rope, torch.randn(2, 5, 8), position_ids=torch.arange(20, 25).expand(2, 5))
