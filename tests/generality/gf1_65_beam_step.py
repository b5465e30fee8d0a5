"""One step of a beam search for a toy translation model, with fixed beams.

Beam origins and tokens are unpacked to python lists, as in older seq2seq code,
and then used to put the new beam states together.
"""

from typing import Iterator, List, NamedTuple, Tuple

import torch
from torch import nn

import graphfix


class BeamState(NamedTuple):
    tokens: torch.Tensor   # (beams, length)
    scores: torch.Tensor   # (beams,)
    hidden: torch.Tensor   # (beams, dim)


class Decoder(nn.Module):
    def __init__(self, vocab: int = 11, dim: int = 12):
        super().__init__()
        self.vocab = vocab
        self.embed = nn.Embedding(vocab, dim)
        self.cell = nn.GRUCell(dim, dim)
        self.out = nn.Linear(dim, vocab)

    def forward(self, tok: torch.Tensor, hidden: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        hidden = self.cell(self.embed(tok), hidden)
        return self.out(hidden).log_softmax(-1), hidden


class BeamStepper(nn.Module):
    EOS = 1

    def __init__(self, beams: int = 3, length_penalty: float = 0.6) -> None:
        super().__init__()
        self.beams = beams
        self.length_penalty = length_penalty
        self.decoder = Decoder()

    def _penalty(self, length: int) -> float:
        return ((5 + length) / 6) ** self.length_penalty

    def forward(self, tokens: torch.Tensor, scores: torch.Tensor, hidden: torch.Tensor) -> BeamState:
        logp, hidden = self.decoder(tokens[:, -1], hidden)
        total = scores[:, None] + logp / self._penalty(tokens.size(1))
        best, flat = total.view(-1).topk(self.beams)
        rows: List[torch.Tensor] = []
        states: List[torch.Tensor] = []
        for idx in flat.tolist():
            origin, word = idx // self.decoder.vocab, idx % self.decoder.vocab
            rows.append(torch.cat([tokens[origin], torch.tensor([word])]))
            states.append(hidden[origin])
        # finished beams get a small bonus so that they stay in front
        bonus = [0.1 if int(r[-1]) == self.EOS else 0.0 for r in rows]
        best = best + torch.tensor(bonus)
        return BeamState(torch.stack(rows), best, torch.stack(states))


@graphfix.target
def beam_step() -> Iterator[graphfix.Call]:
    """A step early on and one with longer prefixes."""
    torch.manual_seed(0)
    model = BeamStepper().eval().requires_grad_(False)
    yield graphfix.Call(model, torch.randint(2, 11, (3, 4)), torch.randn(3), torch.randn(3, 12))
    yield graphfix.Call(model, torch.randint(2, 11, (3, 7)), torch.zeros(3), torch.randn(3, 12))
