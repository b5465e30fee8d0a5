"""Point cloud: points fall into voxels; the occupied voxels and each point's voxel come back (unique)."""
import torch
from torch import Tensor

import graphfix


def voxelize(points: Tensor, size: float, grid: int = 4) -> dict[str, Tensor]:
    cell = torch.floor(points / size).long().clamp(0, grid - 1)
    flat = (cell[:, 0] * grid + cell[:, 1]) * grid + cell[:, 2]
    occupied, owner = torch.unique(flat, return_inverse=True)
    return {"voxels": occupied, "owner": owner, "height": points[:, 2].mean()}


@graphfix.target
def cloud():
    torch.manual_seed(5)
    for n in (10, 25):
        yield graphfix.Call(voxelize, torch.rand(n, 3), size=0.25)
