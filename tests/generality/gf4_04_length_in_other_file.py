"""A length mask made by a helper in another file; the longest sequence is always as long as the padded batch."""
import torch
from gf4_04_lengths import Tagger

import graphfix


@graphfix.target
def tag():
    m = Tagger().requires_grad_(False)
    yield graphfix.Call(m, torch.randn(2, 5, 3), x_lens=torch.tensor([5, 3]))
    yield graphfix.Call(m, torch.randn(3, 7, 3), x_lens=torch.tensor([2, 7, 6]))
