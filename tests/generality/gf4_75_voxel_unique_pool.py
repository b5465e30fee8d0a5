"""Point-cloud voxel pooling with unique + inverse, and a bincount for the mean."""
import torch
from torch import nn

import graphfix


def voxelize(xyz, size):
    grid = torch.floor(xyz / size).long()
    grid = grid - grid.min(dim=0).values
    return (grid * torch.tensor([4096, 64, 1])).sum(-1)


class VoxelPool(nn.Module):
    def __init__(self, c_in=4, c_out=8, size=0.5):
        super().__init__()
        self.size = size
        self.lin = nn.Linear(c_in, c_out)

    def forward(self, xyz, feat):
        keys = voxelize(xyz, self.size)
        _, inverse = torch.unique(keys, return_inverse=True)
        n = torch.bincount(inverse)
        h = self.lin(feat).relu()
        pooled = h.new_zeros(n.numel(), h.size(1)).index_add(0, inverse, h)
        pooled = pooled / n.unsqueeze(1)
        # and back to the points, so that the skip connection lines up
        return torch.cat([h, pooled[inverse]], dim=1), pooled.amax(0)


@graphfix.target
def voxel_pool():
    torch.manual_seed(48)
    m = VoxelPool().eval().requires_grad_(False)
    yield graphfix.Call(m, torch.rand(20, 3), torch.randn(20, 4))
    yield graphfix.Call(m, xyz=3 * torch.rand(15, 3), feat=torch.randn(15, 4))
