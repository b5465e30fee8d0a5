"""Vision: silent borders are cropped, or the image is kept.

Nobody can repair this: the two ways return other shapes, so that no where and no cond can join them.
"""
import torch

import graphfix


def crop_if_dark(image: torch.Tensor, border: int = 1) -> torch.Tensor:
    if image[..., :border, :].abs().mean() < 1e-3:
        return image[..., border:-border, border:-border]
    return image


@graphfix.target
def crop():
    yield graphfix.Call(crop_if_dark, torch.ones(1, 5, 5))
    yield graphfix.Call(crop_if_dark, torch.zeros(2, 6, 6))
