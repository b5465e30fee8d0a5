"""CTC decoding to a string.

Nobody can repair this: the result is a str made of the tensor's values, letter by letter, on the host.
"""
import torch

import graphfix

ALPHABET = "_abcdefgh"


def greedy_text(log_probs: torch.Tensor) -> str:
    best = log_probs.argmax(dim=-1)
    collapsed = torch.where(best == best.roll(1), torch.zeros_like(best), best)
    return "".join(ALPHABET[i] for i in collapsed.tolist() if i)


@graphfix.target
def decode():
    yield graphfix.Call(greedy_text, torch.randn(12, 9).log_softmax(-1))
    yield graphfix.Call(greedy_text, torch.randn(7, 9).log_softmax(-1))
