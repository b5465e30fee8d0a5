"""Instance segmentation: the mask loss leaves early when no ground-truth mask is valid."""
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor

import graphfix


def dice_loss(pred: Tensor, gt: Tensor, valid: Tensor, smooth: Optional[float] = 1.0) -> Tensor:
    """pred/gt: N,H,W; valid: N bool (padded instances are False)"""
    n_valid = valid.sum()
    if n_valid == 0:
        # keep the graph alive for DDP
        return pred.sum() * 0.0

    p = pred.sigmoid().flatten(1)
    t = gt.flatten(1)
    inter = (p * t).sum(-1)
    union = p.sum(-1) + t.sum(-1)
    per_inst = 1 - (2 * inter + smooth) / (union + smooth)
    return (per_inst * valid).sum() / n_valid


@graphfix.target
def mask_loss():
    torch.manual_seed(4)
    gt = (torch.rand(3, 4, 4) > 0.5).float()
    yield graphfix.Call(dice_loss, torch.randn(3, 4, 4), gt, torch.tensor([True, False, True]))
    yield graphfix.Call(dice_loss, torch.randn(3, 4, 4), gt=gt, valid=torch.zeros(3, dtype=torch.bool))
