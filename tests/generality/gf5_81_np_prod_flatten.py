"""Flatten everything but the batch, the size computed with np.prod."""
import numpy as np
import torch

import graphfix


def mean_pixel_norm(x):
    n_feat = int(np.prod([x.shape[1], x.shape[2]]))
    flat = x.reshape(-1, n_feat)
    return flat.norm(dim=1) / n_feat


@graphfix.target
def np_prod_flatten():
    torch.manual_seed(0)
    yield graphfix.Call(mean_pixel_norm, torch.randn(2, 3, 4))
    yield graphfix.Call(mean_pixel_norm, torch.randn(5, 2, 2))
