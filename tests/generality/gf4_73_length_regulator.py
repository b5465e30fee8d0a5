"""FastSpeech length regulator: repeat phonemes by duration, pad to a batch."""
import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

import graphfix


class LengthRegulator(nn.Module):
    def forward(self, x, dur):
        expanded = [torch.repeat_interleave(h, d, dim=0) for h, d in zip(x, dur)]
        mel_len = dur.sum(-1)
        return pad_sequence(expanded, batch_first=True), mel_len


class Synth(nn.Module):
    def __init__(self, vocab=12, dim=8, mels=5):
        super().__init__()
        self.emb = nn.Embedding(vocab, dim)
        self.dur = nn.Linear(dim, 1)
        self.reg = LengthRegulator()
        self.mel = nn.Linear(dim, mels)

    def forward(self, phon, alpha=1.0):
        h = self.emb(phon)
        d = torch.clamp(torch.round(self.dur(h).squeeze(-1).exp() * alpha), min=1).long()
        h, lens = self.reg(h, d)
        keep = torch.arange(h.size(1)).unsqueeze(0) < lens.unsqueeze(1)
        return self.mel(h) * keep.unsqueeze(-1), lens


@graphfix.target
def synth():
    torch.manual_seed(24)
    s = Synth().eval().requires_grad_(False)
    yield graphfix.Call(s, torch.randint(0, 12, (2, 4)))
    yield graphfix.Call(s, torch.randint(0, 12, (3, 6)), alpha=2.0)
