"""Two files that import each other: the encoder warns by a helper that knows the encoder."""
import torch
from gf3_03_pair.encoder import Encoder

import graphfix


@graphfix.target
def encode():
    m = Encoder().requires_grad_(False)
    yield graphfix.Call(m, torch.randn(2, 6, 3))
    yield graphfix.Call(m, torch.randn(1, 3, 3))
