from torch import nn

from . import checks


class Encoder(nn.Module):
    max_positions = 4

    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(3, 3)

    def forward(self, seq):
        checks.warn_if_long(seq, owner=self)
        return self.lin(seq).cumsum(dim=1)
