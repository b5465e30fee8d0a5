"""A normaliser counts the positives by the length of nonzero()."""
import torch
import torch.nn.functional as F

import graphfix


def detection_loss(logits: torch.Tensor, labels: torch.Tensor, smooth: float = 1.0) -> torch.Tensor:
    positives = (labels > 0).nonzero()
    num_pos = max(positives.size(0), 1)
    loss = F.binary_cross_entropy_with_logits(
        logits, labels.float().clamp(max=1.0), reduction="sum"
    )
    return loss / (num_pos + smooth)


@graphfix.target
def loss():
    yield graphfix.Call(detection_loss, torch.randn(4, 3), torch.tensor([[0, 1, 2], [0, 0, 0], [1, 1, 0], [0, 0, 3]]))
    yield graphfix.Call(detection_loss, logits=torch.randn(5), labels=torch.tensor([0, 0, 1, 0, 1]))
