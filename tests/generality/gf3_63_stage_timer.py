"""Two-stage pose lifter which reports how long each stage took.

The timings go to stdout only, nothing is computed from them.
"""
import time
from contextlib import contextmanager
from typing import Iterator

import torch
import torch.nn as nn

import graphfix


@contextmanager
def stage(name: str, enabled: bool = True):
    """Show the wall time of the block."""
    start = time.perf_counter()
    yield
    if enabled:
        print("%s: %.2f ms" % (name, 1e3 * (time.perf_counter() - start)))


class Backbone2d(nn.Module):
    def __init__(self, joints: int = 5):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, joints, 1))

    def forward(self, img: torch.Tensor) -> torch.Tensor:
        heat = self.conv(img).flatten(2).softmax(-1)
        h, w = img.shape[-2:]
        ys, xs = torch.meshgrid(torch.linspace(-1, 1, h), torch.linspace(-1, 1, w), indexing="ij")
        grid = torch.stack([xs.flatten(), ys.flatten()], dim=-1)
        return heat @ grid        # soft arg max


class PoseLifter(nn.Module):
    def __init__(self, joints: int = 5, profile: bool = True) -> None:
        super().__init__()
        self.joints = joints
        self.profile = profile
        self.backbone = Backbone2d(joints)
        self.lift = nn.Sequential(nn.Linear(joints * 2, 32), nn.ReLU(), nn.Linear(32, joints * 3))

    def forward(self, img: torch.Tensor) -> torch.Tensor:
        tic = time.time()
        with stage("backbone", self.profile):
            kpts = self.backbone(img)
        with stage("lifting", self.profile):
            pose = self.lift(kpts.flatten(1)).view(-1, self.joints, 3)
        # root relative
        pose = pose - pose[:, :1]
        elapsed = time.time() - tic
        if self.profile:
            print(f"total {elapsed:.4f}s for a batch of {img.shape[0]}")
        return pose


@graphfix.target
def pose_lifter() -> Iterator[graphfix.Call]:
    """Two resolutions."""
    torch.manual_seed(0)
    model = PoseLifter().eval().requires_grad_(False)
    yield graphfix.Call(model, torch.rand(2, 3, 12, 12))
    yield graphfix.Call(model, torch.rand(1, 3, 16, 8))
