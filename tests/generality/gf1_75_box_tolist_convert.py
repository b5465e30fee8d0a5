"""DETR-style post-processing for one box per image, written the slow way."""
import torch
from torch import nn
import graphfix


def cxcywh_to_xyxy(box):
    cx, cy, w, h = box
    return [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]


def clip01(v):
    return 0.0 if v < 0.0 else (1.0 if v > 1.0 else v)


class BoxHead(nn.Module):
    def __init__(self, d=8):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, 4))

    def forward(self, queries, orig_size):
        boxes = self.mlp(queries).sigmoid()
        # python lists are easier to reason about :)
        out = torch.tensor([[clip01(v) for v in cxcywh_to_xyxy(b)] for b in boxes.tolist()])
        img_h, img_w = orig_size.tolist()
        return out * torch.tensor([img_w, img_h, img_w, img_h], dtype=torch.float32)


@graphfix.target
def box_head():
    torch.manual_seed(21)
    head = BoxHead().eval().requires_grad_(False)
    yield graphfix.Call(head, torch.randn(3, 8), torch.tensor([480, 640]))
    yield graphfix.Call(head, 12 * torch.randn(2, 8), orig_size=torch.tensor([100.0, 50.0]))
