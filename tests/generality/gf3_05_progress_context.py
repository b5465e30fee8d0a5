"""A progress bar as a context manager, moved by hand from inside a loop."""
import torch
import tqdm

import graphfix


def denoise(latent: torch.Tensor, n: int = 3) -> torch.Tensor:
    with tqdm.tqdm(total=n, disable=True) as bar:
        for k in range(n):
            latent = latent - latent.mean() / (k + 1)
            bar.update(1)
    return latent


@graphfix.target
def denoising():
    yield graphfix.Call(denoise, torch.randn(2, 3))
    yield graphfix.Call(denoise, torch.randn(4, 4), n=2)
