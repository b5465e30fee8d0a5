"""Whisper-like log-mel front end: the clip's peak is read with .item() and used as a clamp floor."""
import torch
import torch.nn as nn

import graphfix


class LogMel(nn.Module):
    def __init__(self, n_mels=5, n_freq=9, dynamic_range=8.0):
        super().__init__()
        fb = torch.linspace(0, 1, n_mels * n_freq).view(n_mels, n_freq)
        self.register_buffer("filters", fb, persistent=False)
        self.dynamic_range = dynamic_range

    def forward(self, power_spec):
        # (B, F, T) -> (B, M, T)
        mel = self.filters @ power_spec
        log_spec = mel.clamp(min=1e-10).log10()
        log_spec = torch.clamp(
            log_spec,
            min=log_spec.max().item() - self.dynamic_range,  # whole batch, as upstream
        )
        return (log_spec + 4.0) / 4.0


@graphfix.target
def frontend():
    torch.manual_seed(0)
    net = LogMel()
    yield graphfix.Call(net, torch.rand(2, 9, 6))
    quiet = torch.rand(1, 9, 4)
    quiet[..., 2] *= 1e-12
    yield graphfix.Call(net, quiet)
