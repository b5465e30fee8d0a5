"""Next-token sampler with repetition penalty, top-k and nucleus filtering."""

from typing import Iterator

import torch
import torch.nn as nn
import torch.nn.functional as F

import graphfix


def top_k_top_p_filtering(
    logits: torch.Tensor,
    top_k: int = 0,
    top_p: float = 1.0,
    filter_value: float = -float("Inf"),
    min_tokens_to_keep: int = 1,
) -> torch.Tensor:
    """Filter a batch of distributions of logits.

    Taken from the well known gist; works row by row because the removed
    indices differ from row to row.
    """
    if top_k > 0:
        top_k = min(max(top_k, min_tokens_to_keep), logits.size(-1))
        indices_to_remove = logits < torch.topk(logits, top_k)[0][..., -1, None]
        logits[indices_to_remove] = filter_value

    if top_p < 1.0:
        for row in range(logits.size(0)):
            sorted_logits, sorted_indices = torch.sort(logits[row], descending=True)
            cumulative = torch.cumsum(F.softmax(sorted_logits, dim=-1), dim=-1)
            sorted_to_remove = cumulative > top_p
            # shift to the right to keep also the first token above the threshold
            sorted_to_remove[1:] = sorted_to_remove[:-1].clone()
            sorted_to_remove[:min_tokens_to_keep] = False
            remove = sorted_indices[sorted_to_remove]
            logits[row, remove] = filter_value
    return logits


class LM(nn.Module):
    def __init__(self, vocab: int = 30, dim: int = 12):
        super().__init__()
        self.emb = nn.Embedding(vocab, dim)
        self.rnn = nn.Linear(dim, dim)
        self.head = nn.Linear(dim, vocab)

    def next_logits(self, ids: torch.Tensor) -> torch.Tensor:
        h = torch.tanh(self.rnn(self.emb(ids))).cumsum(1)[:, -1]
        return self.head(h)

    def forward(self, ids: torch.Tensor, temperature: float = 1.0, top_k: int = 0, top_p: float = 0.9,
                penalty: float = 1.2) -> torch.Tensor:
        logits = self.next_logits(ids)
        seen = torch.gather(logits, 1, ids)
        seen = torch.where(seen < 0, seen * penalty, seen / penalty)
        logits = logits.scatter(1, ids, seen) / temperature
        logits = top_k_top_p_filtering(logits, top_k=top_k, top_p=top_p)
        return F.softmax(logits, dim=-1)


@graphfix.target
def nucleus_lm() -> Iterator[graphfix.Call]:
    """Wide nucleus, narrow nucleus with top-k."""
    torch.manual_seed(0)
    model = LM().eval().requires_grad_(False)
    yield graphfix.Call(model, torch.randint(0, 30, (2, 6)))
    yield graphfix.Call(model, torch.randint(0, 30, (3, 4)), temperature=0.5, top_k=8, top_p=0.4)
