"""Axis-angle to rotation matrix with a series for tiny angles, then a pose MLP."""
import torch
import torch.nn as nn

import graphfix


def hat(w):
    o = torch.zeros_like(w[..., 0])
    x, y, z = w.unbind(-1)
    return torch.stack([o, -z, y, z, o, -x, -y, x, o], -1).view(*w.shape[:-1], 3, 3)


def reorthogonalize(R):
    U, _, Vh = torch.linalg.svd(R)
    return U @ Vh


def so3_exp(w, eps=1e-3):
    """Rodrigues, or three terms of the series when all angles are tiny."""
    theta = w.norm(dim=-1)
    K = hat(w)
    if (theta < eps).all():
        return torch.eye(3) + K + 0.5 * K @ K
    t = theta.clamp(min=eps)[..., None, None]
    R = torch.eye(3) + torch.sin(t) / t * K + (1 - torch.cos(t)) / t ** 2 * K @ K
    # the costly re-orthogonalisation is worth it only near pi
    return R if theta.max() < 3.0 else reorthogonalize(R)


class PoseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 3)

    def forward(self, feat, scale):
        return so3_exp(self.fc(feat) * scale)


@graphfix.target
def pose_net():
    torch.manual_seed(23)
    net = PoseNet().eval().requires_grad_(False)
    f = torch.randn(3, 6)
    yield graphfix.Call(net, f, 1e-5)
    yield graphfix.Call(net, torch.randn(2, 6) * 0.3, 1.0)
    yield graphfix.Call(net, f[:2], scale=6.0)
