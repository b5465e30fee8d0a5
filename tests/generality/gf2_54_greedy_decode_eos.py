"""A speech decoder's greedy loop over a fixed buffer that halts at end of sequence."""
from typing import Iterator, Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F

import graphfix


class DecoderStep(nn.Module):
    def __init__(self, vocab: int, dim: int):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim)
        self.attn_q = nn.Linear(dim, dim, bias=False)
        self.cell = nn.GRUCell(2 * dim, dim)
        self.out = nn.Linear(dim, vocab)

    def forward(self, token, state, memory):
        energy = torch.einsum("bd,btd->bt", self.attn_q(state), memory)
        ctx = torch.einsum("bt,btd->bd", F.softmax(energy, -1), memory)
        state = self.cell(torch.cat([self.embed(token), ctx], -1), state)
        return self.out(state), state


class GreedyDecoder(nn.Module):
    """Greedy search. Finished rows are filled with ``pad``."""

    def __init__(self, vocab=7, dim=12, max_len=10, bos=1, eos=2, pad=0):
        super().__init__()
        self.step = DecoderStep(vocab, dim)
        self.max_len, self.bos, self.eos, self.pad = max_len, bos, eos, pad

    def forward(self, memory: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        B = memory.size(0)
        tokens = memory.new_full((B, self.max_len), self.pad, dtype=torch.long)
        scores = memory.new_zeros(B)
        finished = torch.zeros(B, dtype=torch.bool, device=memory.device)
        cur = tokens.new_full((B,), self.bos)
        state = memory.mean(1)

        t = 0
        while t < self.max_len and not finished.all():
            logits, state = self.step(cur, state, memory)
            logp = logits.log_softmax(-1)
            best, nxt = logp.max(-1)
            nxt = torch.where(finished, torch.full_like(nxt, self.pad), nxt)
            scores = scores + best.masked_fill(finished, 0.0)
            tokens[:, t] = nxt
            finished = finished | (nxt == self.eos)
            cur = nxt
            t += 1
        return tokens, scores


def _build(eos_bias: float, seed: int) -> GreedyDecoder:
    torch.manual_seed(seed)
    model = GreedyDecoder().eval()
    with torch.no_grad():
        model.step.out.bias[model.eos] += eos_bias
    return model


@graphfix.target
def greedy_decode_eos() -> Iterator[graphfix.Call]:
    """A decoder that runs to the end, and one which stops early."""
    torch.manual_seed(0)
    memory = torch.randn(3, 6, 12)
    yield graphfix.Call(_build(-5.0, seed=1), memory)
    yield graphfix.Call(_build(0.4, seed=4), torch.randn(2, 4, 12))
    yield graphfix.Call(_build(5.0, seed=2), memory[:2])
