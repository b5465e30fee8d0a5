"""Voxel pooling of a point cloud: one mean feature for each occupied voxel.

Nobody can repair this: the number of returned rows is the number of occupied voxels.
"""
from typing import Iterator, Tuple

import torch
from torch import Tensor, nn

import graphfix


def scatter_mean(src: Tensor, index: Tensor, dim_size: int) -> Tensor:
    out = src.new_zeros(dim_size, src.size(-1))
    out.index_add_(0, index, src)
    count = src.new_zeros(dim_size).index_add_(0, index, src.new_ones(src.size(0)))
    return out / count.clamp_(min=1).unsqueeze(-1)


class DynamicVoxelEncoder(nn.Module):
    """Points -> (voxel features, voxel coordinates), as in dynamic voxelisation."""

    def __init__(
        self,
        in_channels: int = 4,
        feat_channels: int = 8,
        voxel_size: float = 0.5,
        point_cloud_range: Tuple[float, ...] = (-2.0, -2.0, -1.0, 2.0, 2.0, 1.0),
    ):
        super().__init__()
        self.voxel_size = voxel_size
        self.register_buffer("pc_min", torch.tensor(point_cloud_range[:3]))
        self.register_buffer("pc_max", torch.tensor(point_cloud_range[3:]))
        self.pfn = nn.Sequential(
            nn.Linear(in_channels + 3, feat_channels, bias=False),
            nn.BatchNorm1d(feat_channels),
            nn.ReLU(),
        )

    def forward(self, points: Tensor) -> Tuple[Tensor, Tensor]:
        xyz = points[:, :3]
        keep = ((xyz >= self.pc_min) & (xyz < self.pc_max)).all(dim=1)
        points = points[keep]
        coords = ((points[:, :3] - self.pc_min) / self.voxel_size).floor().long()

        voxels, inverse = torch.unique(coords, dim=0, return_inverse=True)
        num_voxels = voxels.size(0)
        centre = scatter_mean(points[:, :3], inverse, num_voxels)
        # decorate with the offset to the cluster's centre
        f = torch.cat([points, points[:, :3] - centre[inverse]], dim=-1)
        return scatter_mean(self.pfn(f), inverse, num_voxels), voxels


@graphfix.target
def voxel_unique_pool() -> Iterator[graphfix.Call]:
    """A dense cloud and a sparse one."""
    torch.manual_seed(0)
    enc = DynamicVoxelEncoder().eval()
    yield graphfix.Call(enc, 0.4 * torch.randn(60, 4))
    yield graphfix.Call(enc, 1.5 * torch.randn(20, 4))
