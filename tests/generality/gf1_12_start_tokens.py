"""Seq2seq: the first tokens are filled with an id that a buffer holds; the masked positions with another."""
import torch
import torch.nn as nn

import graphfix


class Shifter(nn.Module):
    def __init__(self, bos=1, pad=0):
        super().__init__()
        self.register_buffer("bos_id", torch.tensor(bos), persistent=False)
        self.register_buffer("pad_id", torch.tensor(pad), persistent=False)

    def forward(self, labels):
        shifted = labels.new_zeros(labels.shape)
        shifted[:, 1:] = labels[:, :-1].clone()
        shifted[:, 0].fill_(self.bos_id.item())
        return shifted.masked_fill_(shifted == -100, self.pad_id.item())


@graphfix.target
def shift():
    s = Shifter()
    yield graphfix.Call(s, torch.tensor([[4, 5, -100], [6, -100, -100]]))
    yield graphfix.Call(s, torch.tensor([[4, 5, 6, 7]]))
