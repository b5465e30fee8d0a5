"""U-Net study code: a shape print left behind in the skip connection, through a `verbose` helper."""
import torch, torch.nn as nn
import torch.nn.functional as F
import graphfix

DEBUG = True


def dbg(tag, t):
    if DEBUG:
        print(f"[unet] {tag:>6s}: {tuple(t.shape)} {t.dtype}")
    return t


class Up(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, 3, padding=1)

    def forward(self, x1, x2):
        x1 = F.interpolate(x1, scale_factor=2, mode="nearest")
        dy, dx = x2.size(2) - x1.size(2), x2.size(3) - x1.size(3)
        x1 = F.pad(x1, [dx // 2, dx - dx // 2,
                        dy // 2, dy - dy // 2])
        x = dbg("cat", torch.cat([x2, x1], dim=1))
        return F.relu(self.conv(x))


@graphfix.target
def up():
    torch.manual_seed(9)
    u = Up(5, 2).requires_grad_(False)
    yield graphfix.Call(u, torch.randn(1, 3, 2, 2), torch.randn(1, 2, 5, 4))
    yield graphfix.Call(u, torch.randn(2, 3, 3, 3), x2=torch.randn(2, 2, 6, 6))
