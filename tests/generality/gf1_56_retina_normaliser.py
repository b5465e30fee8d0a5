"""A RetinaNet loss with a moving normaliser kept in Python numbers."""
from typing import Dict, Iterator, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import graphfix


def sigmoid_focal_loss(logits: Tensor, targets: Tensor, alpha: float = 0.25, gamma: float = 2.0):
    p = torch.sigmoid(logits)
    ce = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    p_t = p * targets + (1 - p) * (1 - targets)
    loss = ce * ((1 - p_t) ** gamma)
    alpha_t = alpha * targets + (1 - alpha) * (1 - targets)
    return (alpha_t * loss).sum()


class RetinaLoss(nn.Module):
    """Classification and box terms, both over a moving normaliser."""

    def __init__(self, num_classes: int = 3, momentum: float = 0.9):
        super().__init__()
        self.num_classes = num_classes
        self.momentum = momentum
        self.register_buffer("loss_normalizer", torch.tensor(100.0))

    @torch.no_grad()
    def _ema_update(self, value: int) -> float:
        new = self.momentum * float(self.loss_normalizer) + (1 - self.momentum) * max(value, 1)
        self.loss_normalizer.fill_(new)
        return new

    def forward(
        self, pred_logits: Tensor, pred_deltas: Tensor, gt_labels: Tensor, gt_deltas: Tensor
    ) -> Dict[str, Tensor]:
        valid = gt_labels >= 0
        fg = (gt_labels >= 0) & (gt_labels != self.num_classes)
        num_pos = int(fg.sum())
        normalizer = self._ema_update(num_pos)

        onehot = F.one_hot(gt_labels.clamp(min=0), self.num_classes + 1)[..., :-1]
        w = valid.unsqueeze(-1).to(pred_logits.dtype)
        loss_cls = sigmoid_focal_loss(pred_logits * w, onehot.to(pred_logits.dtype) * w)
        l1 = F.smooth_l1_loss(pred_deltas, gt_deltas, beta=0.1, reduction="none").sum(-1)
        loss_box = (l1 * fg).sum()
        total = (loss_cls + loss_box) / normalizer
        pos_frac = num_pos / max(1, valid.sum().item())
        return {
            "loss": total,
            "loss_cls": loss_cls / normalizer,
            "loss_box_reg": loss_box / normalizer,
            "pos_frac": torch.full((), pos_frac),
        }


@graphfix.target
def retina_loss() -> Iterator[graphfix.Call]:
    """Some anchors match; none match."""
    torch.manual_seed(0)
    crit = RetinaLoss().eval()
    labels = torch.randint(-1, 4, (2, 12))
    yield graphfix.Call(crit, torch.randn(2, 12, 3), torch.randn(2, 12, 4), labels, torch.randn(2, 12, 4))
    none = torch.full((1, 6), 3)
    yield graphfix.Call(crit, torch.randn(1, 6, 3), torch.randn(1, 6, 4), gt_labels=none, gt_deltas=torch.zeros(1, 6, 4))
