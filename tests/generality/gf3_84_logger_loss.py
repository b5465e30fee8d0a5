"""Focal loss with a debug log of its parts."""
import logging

import torch
import torch.nn.functional as F

import graphfix

logger = logging.getLogger(__name__)


def focal_loss(logits, target, gamma=2.0):
    ce = F.cross_entropy(logits, target, reduction="none")
    pt = torch.exp(-ce)
    loss = ((1 - pt) ** gamma * ce).mean()
    logger.debug("ce=%.4f pt=%.4f", ce.mean().item(), pt.mean().item())
    return loss


@graphfix.target
def logger_loss():
    torch.manual_seed(3)
    yield graphfix.Call(focal_loss, torch.randn(4, 3), torch.tensor([0, 2, 1, 1]))
    yield graphfix.Call(focal_loss, torch.randn(2, 5), torch.tensor([4, 0]), gamma=1.0)
