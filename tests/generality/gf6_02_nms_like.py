"""A value-dependent number of rows is returned; capture_dynamic_output_shape_ops lets the graph hold it."""
import torch

import graphfix


class PostProcess:
    def __init__(self, threshold: float = 0.1):
        self.threshold = threshold

    def __call__(self, scores: torch.Tensor) -> dict[str, torch.Tensor]:
        peaks = (scores >= self.threshold) & (scores == scores.amax(-1, keepdim=True))
        where = torch.nonzero(peaks)
        return {"rows": where[:, 0], "classes": where[:, 1]}


@graphfix.target
def post():
    p = PostProcess()
    yield graphfix.Call(p.__call__, torch.rand(4, 3))
    yield graphfix.Call(p.__call__, scores=torch.rand(6, 2))
