"""Detection: the boxes above a threshold are returned.

Nobody can repair this by source alone: how many rows come back depends on the values (a setting can, see GF6).
"""
import torch

import graphfix


def keep_confident(boxes: torch.Tensor, scores: torch.Tensor, threshold: float = 0.0):
    keep = scores > threshold
    return boxes[keep], scores[keep]


@graphfix.target
def keep():
    yield graphfix.Call(keep_confident, torch.randn(6, 4), scores=torch.randn(6))
    yield graphfix.Call(keep_confident, torch.randn(9, 4), scores=torch.randn(9))
