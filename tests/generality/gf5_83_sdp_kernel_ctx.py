"""Attention pinned to the math backend with the old context manager."""
import torch
import torch.nn.functional as F

import graphfix


def math_attention(q, k, v, causal=False):
    with torch.backends.cuda.sdp_kernel(enable_flash=False, enable_mem_efficient=False, enable_math=True):
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)


@graphfix.target
def sdp_kernel_ctx():
    torch.manual_seed(2)
    yield graphfix.Call(math_attention, *torch.randn(3, 1, 2, 5, 4))
    yield graphfix.Call(math_attention, *torch.randn(3, 2, 2, 3, 8), causal=True)
