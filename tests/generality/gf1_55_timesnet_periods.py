"""A forecaster with FFT period finding, whose periods become reshape sizes."""
from dataclasses import dataclass
from typing import Iterator

import torch
import torch.nn as nn
import torch.nn.functional as F

import graphfix


@dataclass
class Configs:
    seq_len: int = 24
    pred_len: int = 8
    d_model: int = 8
    top_k: int = 2


def FFT_for_Period(x, k=2):
    # [B, T, C]
    xf = torch.fft.rfft(x, dim=1)
    # find period by amplitudes
    frequency_list = abs(xf).mean(0).mean(-1)
    frequency_list[0] = 0
    _, top_list = torch.topk(frequency_list, k)
    top_list = top_list.detach().tolist()
    period = [x.shape[1] // t for t in top_list]
    return period, abs(xf).mean(-1)[:, top_list]


class TimesBlock(nn.Module):
    def __init__(self, configs: Configs):
        super().__init__()
        self.seq_len = configs.seq_len
        self.k = configs.top_k
        self.conv = nn.Sequential(
            nn.Conv2d(configs.d_model, configs.d_model, 3, padding=1), nn.GELU()
        )

    def forward(self, x):
        B, T, N = x.size()
        period_list, period_weight = FFT_for_Period(x, self.k)

        res = []
        for i in range(self.k):
            period = period_list[i]
            # padding
            length = -(-T // period) * period
            out = F.pad(x, (0, 0, 0, length - T))
            # reshape to cycles
            out = out.reshape(B, length // period, period, N).permute(0, 3, 1, 2).contiguous()
            out = self.conv(out)
            out = out.permute(0, 2, 3, 1).reshape(B, -1, N)
            res.append(out[:, :T, :])
        res = torch.stack(res, dim=-1)
        period_weight = F.softmax(period_weight, dim=1)
        period_weight = period_weight.unsqueeze(1).unsqueeze(1).repeat(1, T, N, 1)
        return torch.sum(res * period_weight, -1) + x


class Model(nn.Module):
    def __init__(self, configs: Configs):
        super().__init__()
        self.embed = nn.Linear(1, configs.d_model)
        self.block = TimesBlock(configs)
        self.head = nn.Linear(configs.d_model, configs.pred_len)

    def forward(self, x_enc):
        means = x_enc.mean(1, keepdim=True).detach()
        x = self.block(self.embed(x_enc - means))
        return self.head(x).mean(1) + means.squeeze(-1)


@graphfix.target
def timesnet_periods() -> Iterator[graphfix.Call]:
    """Series with a period of 6 and of 8."""
    torch.manual_seed(0)
    model = Model(Configs()).eval()
    t = torch.arange(24.0)
    for period in (6.0, 8.0):
        wave = torch.sin(2 * torch.pi * t / period) + 0.3 * torch.cos(2 * torch.pi * t / 4)
        yield graphfix.Call(model, wave.repeat(2, 1).unsqueeze(-1) + 0.01 * torch.randn(2, 24, 1))
