"""Beam re-scoring: banned tokens get one less than the worst live score."""
import torch
from torch import nn

import graphfix


class BeamScorer(nn.Module):
    def __init__(self, hidden=12, vocab=20, banned=(0, 3)):
        super().__init__()
        self.lm_head = nn.Linear(hidden, vocab)
        self.register_buffer("banned", torch.tensor(banned), persistent=False)

    def _floor(self, logits):
        worst = logits.min().item()
        return worst - 1.0

    def forward(self, h, beam_scores):
        logits = self.lm_head(h)
        floor = self._floor(logits)
        # a column of `floor` for the extra <unk_copy> slot
        extra = torch.full((h.size(0), 1), floor, dtype=logits.dtype)
        logits[:, self.banned] = floor
        logits = torch.cat([logits, extra], dim=-1)
        scores = logits.log_softmax(-1) + beam_scores[:, None]
        top = scores.view(-1).topk(2 * h.size(0))
        return top.values, top.indices % logits.size(-1)


@graphfix.target
def beam_scorer():
    torch.manual_seed(3)
    m = BeamScorer().eval()
    m.requires_grad_(False)
    yield graphfix.Call(m, torch.randn(4, 12), torch.zeros(4))
    yield graphfix.Call(m, torch.randn(2, 12) * 5, beam_scores=torch.tensor([-0.5, -2.0]))
