"""Targets in kornia: geometry, filters, losses, metrics.

`graphfix apply examples/libraries/kornia_targets.py --scope kornia --overlay out/`,
where kornia is installed.
"""

import kornia
import torch

import graphfix


def boxes(n, seed, w=4.0, h=3.0):
    g = torch.Generator().manual_seed(seed)
    tl = torch.randint(0, 4, (n, 1, 2), generator=g).float()
    return tl + torch.tensor([[0, 0], [w - 1, 0], [w - 1, h - 1], [0, h - 1]])


SIZES = ((0, 10), (1, 12))


@graphfix.target
def validate_bbox():
    for seed, n in SIZES:
        yield graphfix.Call(kornia.geometry.bbox.validate_bbox, boxes(n, seed))


@graphfix.target
def crop_by_boxes():
    for seed, n in SIZES:
        torch.manual_seed(seed)
        yield graphfix.Call(
            kornia.geometry.transform.crop_by_boxes, torch.randn(2, 1, n, n), boxes(2, seed), boxes(2, 5)
        )


@graphfix.target
def crop_by_indices():
    for seed, n in SIZES:
        torch.manual_seed(seed)
        yield graphfix.Call(kornia.geometry.transform.crop_by_indices, torch.randn(2, 1, n, n), boxes(2, seed).long())


@graphfix.target
def canny():
    for seed, n in SIZES:
        torch.manual_seed(seed)
        yield graphfix.Call(kornia.filters.canny, torch.rand(1, 1, n, n), 0.3, 0.6)


@graphfix.target
def match_mnn():
    for seed, n in SIZES:
        g = torch.Generator().manual_seed(seed)
        yield graphfix.Call(
            kornia.feature.match_mnn, torch.randn(n, 8, generator=g), torch.randn(n + 2, 8, generator=g)
        )


@graphfix.target
def match_snn():
    for seed, n in SIZES:
        g = torch.Generator().manual_seed(seed)
        yield graphfix.Call(
            kornia.feature.match_snn, torch.randn(n, 8, generator=g), torch.randn(n + 2, 8, generator=g), 0.9
        )


@graphfix.target
def match_smnn():
    for seed, n in SIZES:
        g = torch.Generator().manual_seed(seed)
        yield graphfix.Call(
            kornia.feature.match_smnn, torch.randn(n, 8, generator=g), torch.randn(n + 2, 8, generator=g), 0.95
        )
