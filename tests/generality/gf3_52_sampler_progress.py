"""A k-diffusion style sampler with a tqdm bar, a callback and a verbose print."""
from typing import Any, Callable, Dict, Iterator, List, Optional

import torch
from torch import nn
from tqdm.auto import trange

import graphfix


def append_dims(x: torch.Tensor, target_dims: int) -> torch.Tensor:
    """Appends dimensions to the end of a tensor until it has target_dims dimensions."""
    return x[(...,) + (None,) * (target_dims - x.ndim)]


def to_d(x, sigma, denoised):
    """Converts a denoiser output to a Karras ODE derivative."""
    return (x - denoised) / append_dims(sigma, x.ndim)


def get_sigmas_karras(n, sigma_min=0.1, sigma_max=10., rho=7.):
    ramp = torch.linspace(0, 1, n)
    min_inv_rho = sigma_min ** (1 / rho)
    max_inv_rho = sigma_max ** (1 / rho)
    sigmas = (max_inv_rho + ramp * (min_inv_rho - max_inv_rho)) ** rho
    return torch.cat([sigmas, sigmas.new_zeros([1])])


class ToyDenoiser(nn.Module):
    def __init__(self, ch=3, sigma_data=0.5):
        super().__init__()
        self.conv = nn.Conv2d(ch, ch, 3, padding=1)
        self.sigma_data = sigma_data

    def forward(self, x, sigma):
        s = append_dims(sigma, x.ndim)
        c_skip = self.sigma_data ** 2 / (s ** 2 + self.sigma_data ** 2)
        c_out = s * self.sigma_data / (s ** 2 + self.sigma_data ** 2).sqrt()
        return c_skip * x + c_out * self.conv(x / (s ** 2 + 1).sqrt())


def sample_heun(
    model: nn.Module, x: torch.Tensor, sigmas: torch.Tensor,
    extra_args: Optional[Dict[str, Any]] = None,
    callback: Optional[Callable[[Dict[str, Any]], None]] = None,
    disable: Optional[bool] = None, verbose: bool = False,
) -> torch.Tensor:
    """Implements Algorithm 2 (Heun steps) from Karras et al. (2022), without churn."""
    extra_args = {} if extra_args is None else extra_args
    s_in = x.new_ones([x.shape[0]])
    for i in trange(len(sigmas) - 1, disable=disable):
        denoised = model(x, sigmas[i] * s_in, **extra_args)
        d = to_d(x, sigmas[i] * s_in, denoised)
        if callback is not None:
            callback({"x": x, "i": i, "sigma": sigmas[i], "denoised": denoised})
        if verbose:
            print(f"[{i + 1}/{len(sigmas) - 1}] sigma={sigmas[i].item():.3f} |d|={d.norm():.3f}")
        dt = sigmas[i + 1] - sigmas[i]
        if i == len(sigmas) - 2:
            # Euler on the last step, where sigma is 0
            x = x + d * dt
        else:
            x_2 = x + d * dt
            denoised_2 = model(x_2, sigmas[i + 1] * s_in, **extra_args)
            d_2 = to_d(x_2, sigmas[i + 1] * s_in, denoised_2)
            x = x + (d + d_2) / 2 * dt
    return x


@graphfix.target
def sampler_progress() -> Iterator[graphfix.Call]:
    """A silent run, and one that talks."""
    torch.manual_seed(0)
    model = ToyDenoiser().eval()
    yield graphfix.Call(sample_heun, model, 10 * torch.randn(1, 3, 6, 6), get_sigmas_karras(3), disable=True)
    yield graphfix.Call(sample_heun, model, 10 * torch.randn(2, 3, 4, 4), get_sigmas_karras(2), disable=True, verbose=True)
