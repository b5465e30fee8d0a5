"""A loss over the valid positions only; its mean, behind a keyword-only option."""
import torch
import torch.nn.functional as F

import graphfix


def token_loss(logits, targets, *, ignore: int = -100):
    keep = targets.ne(ignore)
    per_token = F.cross_entropy(
        logits.flatten(0, 1), targets.clamp(min=0).flatten(), reduction="none"
    ).view_as(targets)
    return per_token[keep].mean()


@graphfix.target
def masked_loss():
    yield graphfix.Call(token_loss, torch.randn(2, 3, 5), torch.tensor([[1, -100, 4], [0, 2, -100]]))
    yield graphfix.Call(token_loss, torch.randn(1, 4, 5), targets=torch.tensor([[1, 3, 3, -100]]))
