"""Detection post-processing: greedy suppression with `continue`, an empty-image exit and a warning."""
import warnings

import torch

from graphfix import Call, target


def pairwise_iou(a, b):
    area = lambda z: (z[:, 2] - z[:, 0]) * (z[:, 3] - z[:, 1])
    lt = torch.maximum(a[:, None, :2], b[None, :, :2])
    rb = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    wh = (rb - lt).clamp(min=0)
    inter = wh[..., 0] * wh[..., 1]
    return inter / (area(a)[:, None] + area(b)[None] - inter + 1e-7)


class PostProcess:
    """returns a boolean keep vector in the input order, so that shapes stay put"""

    def __init__(self, score_thr=0.3, iou_thr=0.5, warn_above=0.9):
        self.score_thr, self.iou_thr = score_thr, iou_thr
        self.warn_above = warn_above

    def _suppress(self, iou, alive):
        n = iou.size(0)
        for i in range(n):
            if not alive[i]:
                continue
            overlap = iou[i] > self.iou_thr
            overlap[: i + 1] = False
            alive = alive & ~overlap
        return alive

    def __call__(self, boxes, scores):
        conf = scores >= self.score_thr
        if not conf.any():
            return conf
        order = scores.argsort(descending=True, stable=True)
        alive = self._suppress(pairwise_iou(boxes[order], boxes[order]), conf[order])
        keep = torch.zeros_like(conf)
        keep[order] = alive
        frac = keep.float().mean().item()
        if frac > self.warn_above:
            warnings.warn("nearly every box was kept; is iou_thr right?")
        return keep


@target
def nms():
    torch.manual_seed(28)
    xy = torch.rand(6, 2) * 4
    boxes = torch.cat([xy, xy + 2 + torch.rand(6, 2)], 1)
    pp = PostProcess()
    yield Call(pp, boxes, torch.tensor([.9, .2, .8, .55, .7, .31]))
    yield Call(pp, boxes, scores=torch.full((6,), 0.1))
    yield Call(pp, boxes[:2] + torch.tensor([[0.], [50.]]), torch.tensor([.4, .6]))
