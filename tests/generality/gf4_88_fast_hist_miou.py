"""mIoU as in countless segmentation repositories: fast_hist with a valid mask and a bincount."""
import torch
from torch import nn

import graphfix


def fast_hist(label, pred, n):
    k = (label >= 0) & (label < n)                 # drop the ignore label
    return torch.bincount(
        n * label[k].long() + pred[k],
        minlength=n ** 2,
    ).reshape(n, n)


def per_class_iou(hist, eps=1e-6):
    inter = torch.diag(hist)
    union = hist.sum(1) + hist.sum(0) - inter
    return inter / (union + eps)


class SegEvaluator(nn.Module):
    def __init__(self, num_classes: int = 3, in_ch: int = 2):
        super().__init__()
        self.num_classes = num_classes
        self.classifier = nn.Conv2d(in_ch, num_classes, 1)

    def forward(self, image, label):
        pred = self.classifier(image).argmax(dim=1)
        hist = fast_hist(label.flatten(), pred.flatten(), self.num_classes)
        acc = torch.diag(hist).sum() / hist.sum().clamp(min=1)
        return {"iou": per_class_iou(hist), "acc": acc}


@graphfix.target
def fast_hist_miou():
    torch.manual_seed(7)
    ev = SegEvaluator().eval().requires_grad_(False)
    lab = torch.randint(0, 3, (2, 4, 4))
    lab[:, 0] = 255
    yield graphfix.Call(ev, torch.randn(2, 2, 4, 4), lab)
    yield graphfix.Call(ev, image=torch.randn(1, 2, 3, 5), label=torch.randint(-1, 3, (1, 3, 5)))
