"""HF-style greedy decoding: the loop leaves once every sequence has produced EOS."""
import torch
from torch import nn

import graphfix


class TinyLM(nn.Module):
    def __init__(self, vocab=7, dim=10):
        super().__init__()
        self.emb = nn.Embedding(vocab, dim)
        self.cell = nn.GRUCell(dim, dim)
        self.lm_head = nn.Linear(dim, vocab)

    def forward(self, tok, state):
        state = self.cell(self.emb(tok), state)
        return self.lm_head(state), state


class Generator(nn.Module):
    def __init__(self, lm, eos=2, pad=0):
        super().__init__()
        self.lm, self.eos, self.pad = lm, eos, pad

    def forward(self, first, state, max_new_tokens: int = 6):
        out = torch.full((first.size(0), max_new_tokens), self.pad, dtype=torch.long)
        unfinished = torch.ones_like(first)
        tok = first
        for step in range(max_new_tokens):
            logits, state = self.lm(tok, state)
            tok = logits.argmax(-1) * unfinished + self.pad * (1 - unfinished)
            out[:, step] = tok
            unfinished = unfinished.mul((tok != self.eos).long())
            if unfinished.max() == 0:
                break
        return out


@graphfix.target
def greedy_unfinished():
    torch.manual_seed(6)
    lm = TinyLM().eval().requires_grad_(False)
    biased = TinyLM().eval().requires_grad_(False)
    biased.lm_head.bias[2] += 5.0                 # EOS straight away
    yield graphfix.Call(Generator(lm), torch.tensor([1, 3, 5]), torch.randn(3, 10))
    yield graphfix.Call(Generator(biased), torch.tensor([4, 6]), torch.randn(2, 10), max_new_tokens=5)
