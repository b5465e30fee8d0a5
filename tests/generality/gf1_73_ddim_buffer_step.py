"""One DDIM step; the schedule lives in buffers and is read as Python numbers."""
import torch
import torch.nn as nn

import graphfix


class DDIMStepper(nn.Module):

    def __init__(self, net: nn.Module, num_train_timesteps=100, num_inference_steps=10):
        super().__init__()
        self.net = net
        betas = torch.linspace(1e-4, 2e-2, num_train_timesteps)
        self.register_buffer("alphas_cumprod", torch.cumprod(1.0 - betas, dim=0))
        self.register_buffer("stride", torch.tensor(num_train_timesteps // num_inference_steps))
        self.register_buffer("clip_value", torch.tensor(1.5))

    def forward(self, sample, timestep):
        stride = int(self.stride)
        prev_t = timestep - stride
        a_t = self.alphas_cumprod[timestep]
        a_prev = self.alphas_cumprod[prev_t.clamp(min=0)]
        eps = self.net(sample)
        view = (-1, 1)
        x0 = (sample - (1 - a_t).sqrt().view(view) * eps) / a_t.sqrt().view(view)
        x0 = x0.clamp(-self.clip_value.item(), self.clip_value.item())
        return a_prev.sqrt().view(view) * x0 \
            + (1 - a_prev).sqrt().view(view) * eps


@graphfix.target
def ddim_step():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 16), nn.SiLU(), nn.Linear(16, 8))
    stepper = DDIMStepper(net).eval().requires_grad_(False)
    yield graphfix.Call(stepper, torch.randn(2, 8), torch.tensor([99, 49]))
    yield graphfix.Call(stepper, torch.randn(5, 8), timestep=torch.tensor([9, 5, 30, 70, 0]))
