"""LLM attention: a cached `warning_once` (patched onto the logger) tells users about a missing mask."""
from __future__ import annotations

import functools
import logging

import torch
import torch.nn.functional as F

from graphfix import Call, target


@functools.lru_cache(None)
def warning_once(self: logging.Logger, *args, **kwargs) -> None:
    """same text -> only the first call reaches the handlers"""
    self.warning(*args, **kwargs)


logging.Logger.warning_once = warning_once
logger = logging.getLogger("toyllm.attention")


def sdpa(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, padding: torch.Tensor | None = None):
    bias = None
    if padding is None:
        logger.warning_once("No padding mask given, "
                            "pad tokens will be attended to.")
    else:
        bias = torch.zeros(padding.shape).masked_fill(padding, float("-inf"))[:, None, None, :]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


@target
def attention():
    torch.manual_seed(10)
    q, k, v = torch.randn(3, 2, 2, 4, 8).unbind(0)
    yield Call(sdpa, q, k, v)
    pad = torch.tensor([[False, False, False, True], [False, False, True, True]])
    yield Call(sdpa, q, k, v, padding=pad)
