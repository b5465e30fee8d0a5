"""ASR: CTC greedy collapse written as a Python double loop with .item(), plus a timing log."""
import logging
import time
from dataclasses import dataclass

import torch
import torch.nn as nn
import graphfix

logger = logging.getLogger("asr.decode")


@dataclass
class DecodeOptions:
    blank: int = 0
    pad: int = -1
    log_rtf: bool = True


def collapse(best: torch.Tensor, lengths: torch.Tensor, opts: DecodeOptions):
    """best: (B, T) frame labels -> (B, T) tokens padded with opts.pad, and (B,) counts"""
    B, T = best.shape
    hyp = torch.full((B, T), opts.pad, dtype=torch.long)
    n_tok = torch.zeros(B, dtype=torch.long)
    for b in range(B):
        prev, n = opts.blank, 0
        for t in range(T):
            if t >= lengths[b]:
                break
            cur = best[b, t].item()
            if cur != prev and cur != opts.blank:
                hyp[b, n] = cur
                n += 1
            prev = cur
        n_tok[b] = n
    return hyp, n_tok


class GreedyCTC(nn.Module):
    def __init__(self, dim=5, vocab=4, opts=None):
        super().__init__()
        self.proj = nn.Linear(dim, vocab)
        self.opts = opts or DecodeOptions()

    def forward(self, enc, enc_lengths):
        tic = time.time()
        best = self.proj(enc).log_softmax(-1).argmax(-1)
        out = collapse(best, enc_lengths, self.opts)
        if self.opts.log_rtf:
            logger.info("decoded %d utts in %.3fs", enc.size(0), time.time() - tic)
        return out


@graphfix.target
def decode():
    torch.manual_seed(27)
    dec = GreedyCTC().requires_grad_(False)
    yield graphfix.Call(dec, torch.randn(2, 6, 5), torch.tensor([6, 4]))
    yield graphfix.Call(dec, torch.randn(1, 3, 5).repeat_interleave(2, 1), enc_lengths=torch.tensor([5]))
