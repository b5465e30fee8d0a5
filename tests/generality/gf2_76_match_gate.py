"""Voice-activity gate: `match` on two yes/no facts about the frame."""
import torch
from torch import nn, Tensor
import graphfix


class Gate(nn.Module):
    def __init__(self, n_mels: int = 10) -> None:
        super().__init__()
        self.voice = nn.Linear(n_mels, 4)
        self.noise = nn.Linear(n_mels, 4)

    def forward(self, mel: Tensor, prev_energy: Tensor) -> Tensor:
        energy = mel.square().mean()
        loud = energy > 0.5
        rising = energy > prev_energy
        match bool(loud), bool(rising):
            case (True, True):
                y = self.voice(mel)
            case (True, False):
                y = 0.5 * (self.voice(mel) + self.noise(mel))
            case (False, _):
                y = self.noise(mel) * 0.1
        return y.mean(0)


@graphfix.target
def vad_gate():
    torch.manual_seed(17)
    gate = Gate().eval().requires_grad_(False)
    yield graphfix.Call(gate, torch.randn(5, 10), torch.tensor(0.1))
    yield graphfix.Call(gate, torch.randn(8, 10), prev_energy=torch.tensor(50.0))
    yield graphfix.Call(gate, 0.1 * torch.randn(5, 10), torch.tensor(0.3))
