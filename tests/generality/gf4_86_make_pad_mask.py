"""ESPnet-like conformer pieces: make_pad_mask takes max(lengths), reverse() walks over each utterance."""
import torch
from torch import nn

import graphfix


def make_pad_mask(lengths: torch.Tensor, max_len: int = 0) -> torch.Tensor:
    max_len = max_len if max_len > 0 else int(lengths.max())
    seq = torch.arange(max_len, device=lengths.device)
    return seq.unsqueeze(0) >= lengths.unsqueeze(-1)


def reverse_valid(xs: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Flip the valid part of every row in time, leave the padding where it is."""
    out = xs.clone()
    for b, n in enumerate(lengths.tolist()):
        out[b, :n] = xs[b, :n].flip(0)
    return out


class BiDecoderInput(nn.Module):
    def __init__(self, vocab=9, dim=4):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim)
        self.left = nn.Linear(dim, dim)
        self.right = nn.Linear(dim, dim)

    def forward(self, ys, ys_lens):
        x = self.embed(ys)
        l2r = self.left(x)
        r2l = self.right(reverse_valid(x, ys_lens))
        mask = make_pad_mask(ys_lens)             # longest utterance fills the batch
        return (l2r + r2l).masked_fill(mask.unsqueeze(-1), 0.0), mask


@graphfix.target
def make_pad_mask_target():
    torch.manual_seed(5)
    m = BiDecoderInput().eval().requires_grad_(False)
    yield graphfix.Call(m, torch.randint(0, 9, (3, 6)), torch.tensor([6, 3, 1]))
    yield graphfix.Call(m, torch.randint(0, 9, (2, 4)), ys_lens=torch.tensor([2, 4]))
