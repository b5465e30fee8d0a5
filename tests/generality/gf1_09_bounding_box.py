"""Vision: a box put together from four scalars, one read a line, with comments between them."""
import torch

import graphfix


class BoxMaker:
    """Tight box around the points of every cloud."""

    def __init__(self, margin: float = 0.1):
        self.margin = margin

    def __call__(self, points: torch.Tensor) -> torch.Tensor:
        xs, ys = points.unbind(dim=-1)
        box = torch.tensor(
            [
                xs.min().item(),  # left
                ys.min().item(),  # top
                xs.max().item(),
                ys.max().item(),
            ],
            dtype=points.dtype,
            device=points.device,
        )
        return box + self.margin * torch.tensor([-1.0, -1.0, 1.0, 1.0])


@graphfix.target
def boxes():
    make = BoxMaker()
    yield graphfix.Call(make.__call__, torch.randn(9, 2))
    yield graphfix.Call(make.__call__, points=torch.randn(4, 2))
