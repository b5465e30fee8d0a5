"""Long-tail classification: class-balanced weights from bincount, label smoothing from a bare one_hot."""
import torch
import torch.nn.functional as F

import graphfix


def effective_weights(labels, n_cls, beta):
    freq = torch.bincount(labels, minlength=n_cls).to(torch.float32)
    eff = 1.0 - torch.pow(beta, freq)
    w = (1.0 - beta) / eff.clamp_min(1e-6)
    return w / w.sum() * n_cls


def cb_focal(logits, labels, beta=0.9, gamma=2.0):
    n_cls = logits.shape[1]
    w = effective_weights(labels, n_cls, beta)
    hot = F.one_hot(labels.clamp(max=n_cls - 1), num_classes=n_cls).to(logits)
    p = logits.sigmoid()
    pt = p * hot + (1 - p) * (1 - hot)
    return -(w[None] * (1 - pt).pow(gamma) * pt.clamp_min(1e-7).log()).sum(1)


@graphfix.target
def focal():
    torch.manual_seed(16)
    yield graphfix.Call(cb_focal, torch.randn(6, 4), torch.tensor([0, 0, 1, 3, 0, 1]))
    yield graphfix.Call(cb_focal, torch.randn(3, 5), labels=torch.tensor([4, 4, 2]), gamma=1.0)
