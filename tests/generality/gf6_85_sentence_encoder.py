"""A sentence encoder: embeddings, a bidirectional LSTM, then attention pooling over its states."""
import torch
import torch.nn as nn
import torch.nn.functional as F

import graphfix


class AttentionPool(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.query = nn.Linear(width, 1, bias=False)

    def forward(self, states):
        weights = F.softmax(self.query(states), dim=1)
        return (weights * states).sum(dim=1)


class SentenceEncoder(nn.Module):
    def __init__(self, vocab=20, emb=6, hidden=5, out=3):
        super().__init__()
        self.embed = nn.Embedding(vocab, emb)
        self.rnn = nn.LSTM(emb, hidden, batch_first=True, bidirectional=True)
        self.pool = AttentionPool(2 * hidden)
        self.project = nn.Linear(2 * hidden, out)

    def forward(self, token_ids):
        states, (last, _) = self.rnn(self.embed(token_ids))
        pooled = self.pool(states)
        return F.normalize(self.project(pooled), dim=-1), last


@graphfix.target
def encode():
    torch.manual_seed(0)
    enc = SentenceEncoder().eval().requires_grad_(False)
    yield graphfix.Call(enc, torch.randint(0, 20, (2, 7)))
    yield graphfix.Call(enc, token_ids=torch.randint(0, 20, (3, 4)))
