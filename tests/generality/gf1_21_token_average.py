"""Language modelling: the summed loss is divided by the number of tokens, a Python int made on the way."""
import torch
import torch.nn.functional as F
from torch import Tensor

import graphfix


class Criterion:
    padding_idx = 0

    def __init__(self, sentence_avg: bool = False):
        self.sentence_avg = sentence_avg

    def compute(self, net_output: tuple[Tensor, dict], sample: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        lprobs = F.log_softmax(net_output[0], dim=-1)
        target = sample["target"]
        pad = target.eq(self.padding_idx)
        nll = -lprobs.gather(dim=-1, index=target.unsqueeze(-1)).squeeze(-1).masked_fill(pad, 0.0)
        ntokens = (~pad).sum().item()
        sample_size = target.size(0) if self.sentence_avg else ntokens
        return nll.sum() / sample_size, nll


@graphfix.target
def criterion():
    c = Criterion()
    yield graphfix.Call(c.compute, (torch.randn(2, 3, 5), {}), sample={"target": torch.tensor([[1, 4, 0], [2, 0, 0]])})
    yield graphfix.Call(c.compute, (torch.randn(1, 4, 5), {}), sample={"target": torch.tensor([[1, 4, 3, 0]])})
