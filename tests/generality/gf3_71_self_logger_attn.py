"""Attention with a class-level logger that likes to talk."""
import logging

import torch
from torch import nn

import graphfix

logging.getLogger("TalkativeAttention").addHandler(logging.NullHandler())
logging.getLogger("TalkativeAttention").propagate = False


class TalkativeAttention(nn.Module):
    def __init__(self, dim=16, heads=4):
        super().__init__()
        self.logger = logging.getLogger(self.__class__.__name__)
        self.logger.setLevel(logging.DEBUG)
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x, mask=None):
        b, n, d = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        w = q @ k.transpose(-1, -2) * (d // self.heads) ** -0.5
        self.logger.debug(f"attn logits: shape={tuple(w.shape)} mean={w.mean():.4f}")
        if mask is not None:
            self.logger.info("masking %d keys", (~mask).sum())
            w = w.masked_fill(~mask[:, None, None, :], -1e9)
        y = (w.softmax(-1) @ v).transpose(1, 2).reshape(b, n, d)
        return self.out(y)


@graphfix.target
def talkative_attention():
    torch.manual_seed(13)
    m = TalkativeAttention().eval().requires_grad_(False)
    yield graphfix.Call(m, torch.randn(2, 5, 16))
    yield graphfix.Call(m, torch.randn(1, 7, 16), mask=torch.arange(7)[None] < 4)
