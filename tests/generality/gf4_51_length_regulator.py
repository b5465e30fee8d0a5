"""FastSpeech's length regulator with pad lists, and a mel mask whose length comes from the data.

The frames over ``max_len`` are cut off, as in training with a fixed segment.
"""
from typing import Iterator, List, Optional

import torch
import torch.nn as nn
import torch.nn.functional as F

import graphfix


def get_mask_from_lengths(lengths, max_len=None):
    batch_size = lengths.shape[0]
    if max_len is None:
        max_len = torch.max(lengths).item()

    ids = torch.arange(0, max_len).unsqueeze(0).expand(batch_size, -1).to(lengths.device)
    mask = ids >= lengths.unsqueeze(1).expand(-1, max_len)
    return mask


def pad(input_ele: List[torch.Tensor], mel_max_length: Optional[int] = None):
    if mel_max_length:
        max_len = mel_max_length
    else:
        max_len = max([input_ele[i].size(0) for i in range(len(input_ele))])

    out_list = list()
    for batch in input_ele:
        one_batch_padded = F.pad(batch, (0, 0, 0, max_len - batch.size(0)), "constant", 0.0)
        out_list.append(one_batch_padded)
    return torch.stack(out_list)


class LengthRegulator(nn.Module):
    """ Length Regulator """

    def LR(self, x, duration, max_len):
        output = list()
        mel_len = list()
        for batch, expand_target in zip(x, duration):
            expanded = torch.repeat_interleave(batch, expand_target, dim=0)
            output.append(expanded[:max_len])
            mel_len.append(min(expanded.shape[0], max_len))

        output = pad(output, max_len)
        return output, torch.LongTensor(mel_len).to(duration.device)

    def forward(self, x, duration, max_len):
        output, mel_len = self.LR(x, duration, max_len)
        return output, mel_len


class MelDecoder(nn.Module):
    def __init__(self, dim: int = 8, n_mels: int = 5):
        super().__init__()
        self.length_regulator = LengthRegulator()
        self.conv = nn.Conv1d(dim, dim, 3, padding=1)
        self.mel_linear = nn.Linear(dim, n_mels)

    def forward(self, x, duration, max_len: int = 16):
        x, mel_len = self.length_regulator(x, duration, max_len)
        mel_mask = get_mask_from_lengths(mel_len, max_len)
        h = F.gelu(self.conv(x.transpose(1, 2))).transpose(1, 2)
        mel = self.mel_linear(h).masked_fill(mel_mask.unsqueeze(-1), 0)
        return mel, mel_len


@graphfix.target
def length_regulator() -> Iterator[graphfix.Call]:
    """Durations which fit, with zeros among them, and durations which do not fit."""
    torch.manual_seed(0)
    model = MelDecoder().eval()
    yield graphfix.Call(model, torch.randn(2, 4, 8), torch.tensor([[2, 0, 3, 1], [4, 4, 1, 2]]))
    yield graphfix.Call(model, torch.randn(3, 3, 8), torch.tensor([[3, 3, 3], [1, 1, 1], [9, 0, 2]]), max_len=7)
