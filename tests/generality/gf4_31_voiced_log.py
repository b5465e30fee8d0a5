"""Speech: log-F0 only on voiced frames, read and written through a boolean mask."""
import torch
from torch import Tensor
import graphfix


class F0ToLog(torch.nn.Module):
    unvoiced: float = -10.0

    def forward(self, f0: Tensor, *, speaker_shift: Tensor) -> Tensor:
        voiced = f0 > 0
        shift = speaker_shift[:, None].expand_as(f0)
        lf0 = torch.full_like(f0, self.unvoiced)
        # log is only defined where there's pitch
        lf0[voiced] = torch.log(f0[voiced]) + shift[voiced]
        return lf0


@graphfix.target
def logf0():
    m = F0ToLog()
    yield graphfix.Call(
        m,
        torch.tensor([[0., 110., 120., 0.], [220., 0., 0., 230.]]),
        speaker_shift=torch.tensor([0.1, -0.2]),
    )
    yield graphfix.Call(m, torch.zeros(1, 3), speaker_shift=torch.zeros(1))
