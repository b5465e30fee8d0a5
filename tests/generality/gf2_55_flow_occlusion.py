"""An optical flow refiner with a forward-backward check whose result is chosen by a branch."""
from typing import Iterator, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import graphfix


def coords_grid(b: int, h: int, w: int) -> Tensor:
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    return torch.stack([x, y], dim=0).float()[None].repeat(b, 1, 1, 1)


def flow_warp(feature: Tensor, flow: Tensor, mode="bilinear", padding_mode="zeros") -> Tensor:
    b, _, h, w = feature.shape
    grid = coords_grid(b, h, w).to(flow) + flow
    gx = 2 * grid[:, 0] / (w - 1) - 1
    gy = 2 * grid[:, 1] / (h - 1) - 1
    return F.grid_sample(feature, torch.stack([gx, gy], -1), mode=mode,
                         padding_mode=padding_mode, align_corners=True)


def forward_backward_consistency_check(fwd_flow: Tensor, bwd_flow: Tensor, alpha=0.01, beta=0.5) -> Tensor:
    # fwd_flow, bwd_flow: [B, 2, H, W]
    assert fwd_flow.dim() == 4 and bwd_flow.dim() == 4
    mag = fwd_flow.norm(dim=1) + bwd_flow.norm(dim=1)
    diff = torch.norm(fwd_flow + flow_warp(bwd_flow, fwd_flow), dim=1)
    return (diff > alpha * mag + beta).float()


class FlowRefine(nn.Module):
    def __init__(self, ch: int = 8, max_flow: float = 100.0):
        super().__init__()
        self.max_flow = max_flow
        self.refine = nn.Sequential(
            nn.Conv2d(3, ch, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(ch, 2, 3, padding=1)
        )
        self.fill = nn.Conv2d(2, 2, 1)

    def forward(self, fwd: Tensor, bwd: Tensor, valid: Optional[Tensor] = None) -> Tensor:
        assert fwd.abs().max() < self.max_flow, "flow out of range"
        occ = forward_backward_consistency_check(fwd, bwd)
        if valid is not None:
            occ = torch.maximum(occ, 1 - valid)

        if occ.sum() == 0:
            # nothing is hidden
            return fwd
        ratio = occ.mean()
        delta = self.refine(torch.cat([fwd, occ[:, None]], 1))
        if ratio > 0.5:
            delta = 0.5 * delta + self.fill(fwd)
        out = fwd + delta * occ[:, None]
        return out


@graphfix.target
def flow_occlusion() -> Iterator[graphfix.Call]:
    """Consistent flows, a patch of occlusion, and two unrelated flows."""
    torch.manual_seed(0)
    model = FlowRefine().eval()
    zero = torch.zeros(1, 2, 6, 8)
    yield graphfix.Call(model, zero, zero)
    valid = torch.ones(1, 6, 8)
    valid[:, 2:4, 3:6] = 0
    yield graphfix.Call(model, zero, zero, valid=valid)
    yield graphfix.Call(model, 4 * torch.randn(2, 2, 5, 5), 4 * torch.randn(2, 2, 5, 5))
