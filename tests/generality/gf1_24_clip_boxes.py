"""Detection: boxes are clipped to every image's own size, unpacked from a row of a tensor."""
import torch

import graphfix


def clip_to_images(boxes: torch.Tensor, image_sizes: torch.Tensor) -> torch.Tensor:
    clipped = []
    for per_image, size in zip(boxes, image_sizes):
        h, w = size.tolist()
        x = per_image[:, 0::2].clamp(min=0, max=w)
        y = per_image[:, 1::2].clamp(min=0, max=h)
        clipped.append(torch.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], dim=-1))
    return torch.stack(clipped)


@graphfix.target
def clip():
    yield graphfix.Call(clip_to_images, torch.randn(2, 3, 4) * 9, torch.tensor([[5., 7.], [4., 4.]]))
    yield graphfix.Call(clip_to_images, boxes=torch.randn(1, 6, 4) * 9, image_sizes=torch.tensor([[3., 8.]]))
