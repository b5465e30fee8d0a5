"""A speech tagger with a packed bidirectional LSTM and a spec-augment mask drawn by `random`."""
import random
from typing import Iterator, Optional

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import graphfix


def spec_augment(spec: Tensor, rng: random.Random, num_masks: int = 1, max_width: int = 3) -> Tensor:
    """Frequency masks of random width. spec: [B, T, F]"""
    spec = spec.clone()
    for _ in range(num_masks):
        width = rng.randint(0, max_width)
        f0 = rng.randrange(0, max(1, spec.size(-1) - width))
        spec[..., f0:f0 + width] = 0
    return spec


class BiLSTMEncoder(nn.Module):
    def __init__(self, in_dim: int, hidden: int, num_layers: int = 1):
        super().__init__()
        self.rnn = nn.LSTM(in_dim, hidden, num_layers, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        total = x.size(1)
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        self.rnn.flatten_parameters()
        out, _ = self.rnn(packed)
        out, _ = pad_packed_sequence(out, batch_first=True, total_length=total)
        return out


class Tagger(nn.Module):
    def __init__(self, n_mels=8, hidden=6, n_tags=4, augment=True, seed: int = 7):
        super().__init__()
        self.pre = nn.Linear(n_mels, n_mels)
        self.encoder = BiLSTMEncoder(n_mels, hidden)
        self.head = nn.Linear(2 * hidden, n_tags)
        self.augment = augment
        self.seed = seed

    def forward(self, feats: Tensor, feat_lens: Optional[Tensor] = None) -> Tensor:
        if feat_lens is None:
            feat_lens = torch.full((feats.size(0),), feats.size(1))
        if self.augment:
            feats = spec_augment(feats, random.Random(self.seed), num_masks=2)
        h = self.pre(feats).relu()
        h = self.encoder(h, feat_lens)
        return self.head(h).log_softmax(-1)


@graphfix.target
def packed_bilstm_tagger() -> Iterator[graphfix.Call]:
    """Ragged lengths, full lengths."""
    torch.manual_seed(0)
    model = Tagger().eval()
    yield graphfix.Call(model, torch.randn(3, 7, 8), torch.tensor([4, 7, 2]))
    plain = Tagger(augment=False).eval()
    yield graphfix.Call(plain, torch.randn(2, 5, 8))
