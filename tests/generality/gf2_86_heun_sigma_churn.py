"""EDM/k-diffusion Heun sampler step: churn when sigma is in a range, second order unless the last sigma is 0."""
import torch
from torch import nn

import graphfix


class Denoiser(nn.Linear):
    def forward(self, x, sigma):
        return x - sigma * super().forward(x).tanh()


class HeunStep(nn.Module):
    def __init__(self, model, s_churn=0.3, s_tmin=0.1, s_tmax=2.0):
        super().__init__()
        self.model = model
        self.s_churn, self.s_tmin, self.s_tmax = s_churn, s_tmin, s_tmax

    def to_d(self, x, sigma):
        return (x - self.model(x, sigma)) / sigma

    def forward(self, x, sigma, sigma_next, noise):
        gamma = self.s_churn if self.s_tmin <= sigma <= self.s_tmax else 0.0
        sigma_hat = sigma * (gamma + 1)
        x = x + noise * (sigma_hat ** 2 - sigma ** 2).clamp(min=0).sqrt()
        d = self.to_d(x, sigma_hat)
        dt = sigma_next - sigma_hat
        if sigma_next == 0:
            return x + d * dt          # Euler
        x_2 = x + d * dt
        d_2 = self.to_d(x_2, sigma_next)
        return x + (d + d_2) / 2 * dt


@graphfix.target
def heun_sigma_churn():
    torch.manual_seed(5)
    step = HeunStep(Denoiser(4, 4)).eval().requires_grad_(False)
    yield graphfix.Call(step, torch.randn(2, 4), torch.tensor(8.0), torch.tensor(1.0), torch.randn(2, 4))
    yield graphfix.Call(step, torch.randn(3, 4), torch.tensor(0.5), torch.tensor(0.1), noise=torch.randn(3, 4))
    yield graphfix.Call(step, torch.randn(3, 4), torch.tensor(0.05), torch.tensor(0.0), torch.randn(3, 4))
