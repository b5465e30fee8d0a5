"""A detection backbone and neck timed stage by stage with a context manager."""
import contextlib
import time
from collections import OrderedDict, defaultdict
from typing import Dict, Iterator, List

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import graphfix


class Timers:
    def __init__(self):
        self.elapsed: Dict[str, float] = defaultdict(float)
        self.calls: Dict[str, int] = defaultdict(int)

    @contextlib.contextmanager
    def section(self, name: str):
        t0 = time.perf_counter()
        try:
            yield
        finally:
            self.elapsed[name] += time.perf_counter() - t0
            self.calls[name] += 1


def conv_bn(cin, cout, stride=1):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, stride, 1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(inplace=True))


class Backbone(nn.Module):
    def __init__(self, widths=(8, 12, 16)):
        super().__init__()
        chans = (3,) + tuple(widths)
        self.stages = nn.ModuleList(conv_bn(a, b, 2) for a, b in zip(chans, chans[1:]))

    def forward(self, x) -> Dict[str, Tensor]:
        out = OrderedDict()
        for i, stage in enumerate(self.stages):
            x = stage(x)
            out[f"res{i + 2}"] = x
        return out


class FPN(nn.Module):
    def __init__(self, widths=(8, 12, 16), dim: int = 8):
        super().__init__()
        self.lateral = nn.ModuleList([nn.Conv2d(w, dim, 1) for w in widths])
        self.output = nn.ModuleList([nn.Conv2d(dim, dim, 3, padding=1) for _ in widths])

    def forward(self, feats: Dict[str, Tensor]) -> List[Tensor]:
        names = list(feats)[::-1]
        prev, results = None, []
        for i, n in enumerate(names):
            lat = self.lateral[len(names) - 1 - i](feats[n])
            if prev is not None:
                lat = lat + F.interpolate(prev, size=lat.shape[-2:], mode="nearest")
            prev = lat
            results.insert(0, self.output[len(names) - 1 - i](lat))
        return results


class TimedDetector(nn.Module):
    def __init__(self):
        super().__init__()
        self.timers = Timers()
        self.backbone = Backbone()
        self.neck = FPN()
        self.head = nn.Conv2d(8, 5, 1)

    def forward(self, images: Tensor) -> List[Tensor]:
        with self.timers.section("backbone"):
            feats = self.backbone(images)
        with self.timers.section("neck"):
            pyramid = self.neck(feats)
        start = time.time()
        out = [self.head(p).flatten(2).transpose(1, 2) for p in pyramid]
        self.timers.elapsed["head"] += time.time() - start
        return out


@graphfix.target
def stage_timers() -> Iterator[graphfix.Call]:
    """Two image sizes."""
    torch.manual_seed(0)
    model = TimedDetector().eval()
    yield graphfix.Call(model, torch.randn(1, 3, 32, 32))
    yield graphfix.Call(model, torch.randn(2, 3, 16, 24))
