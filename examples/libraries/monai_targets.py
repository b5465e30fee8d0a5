"""Targets in monai: losses and metrics.

`graphfix apply examples/libraries/monai_targets.py --scope monai --overlay out/`,
where monai is installed.
"""

import torch
from monai import losses, metrics
from monai.metrics import utils as metric_utils
from monai.networks import nets

import graphfix


def seg(seed, size, classes=3, batch=2):
    g = torch.Generator().manual_seed(seed)
    pred = torch.randn(batch, classes, size, size, generator=g)
    index = torch.randint(0, classes, (batch, size, size), generator=g)
    return pred, torch.nn.functional.one_hot(index, classes).movedim(-1, 1).float()


SIZES = ((0, 6), (1, 8))


def of(make):
    for s in SIZES:
        yield graphfix.Call(make(), *seg(*s))


def hard(function, **kw):
    for s in SIZES:
        a, b = seg(*s)
        yield graphfix.Call(function, torch.nn.functional.one_hot(a.argmax(1), 3).movedim(-1, 1).float(), b, **kw)


@graphfix.target
def dice():
    yield from of(lambda: losses.DiceLoss(softmax=True))


@graphfix.target
def dice_weighted():
    yield from of(lambda: losses.DiceLoss(softmax=True, weight=[1.0, 2.0, 0.5]))


@graphfix.target
def generalized_dice_loss():
    yield from of(lambda: losses.GeneralizedDiceLoss(softmax=True))


@graphfix.target
def tversky():
    yield from of(lambda: losses.TverskyLoss(softmax=True))


@graphfix.target
def focal_weighted():
    yield from of(lambda: losses.FocalLoss(use_softmax=True, weight=[1.0, 2.0, 0.5]))


@graphfix.target
def focal_alpha():
    yield from of(lambda: losses.FocalLoss(use_softmax=True, alpha=0.25))


@graphfix.target
def unified_focal():
    for s in SIZES:
        a, b = seg(*s, classes=2)
        yield graphfix.Call(losses.AsymmetricUnifiedFocalLoss(), a, b)


@graphfix.target
def boundary():
    yield from of(lambda: losses.BoundaryLoss(softmax=True))


@graphfix.target
def aucm_v1():
    for seed, n in SIZES:
        g = torch.Generator().manual_seed(seed)
        yield graphfix.Call(
            losses.AUCMLoss(version="v1"), torch.rand(n, 1, generator=g), torch.arange(n).view(n, 1) % 2
        )


@graphfix.target
def aucm_v2():
    for seed, n in SIZES:
        g = torch.Generator().manual_seed(seed)
        yield graphfix.Call(
            losses.AUCMLoss(version="v2"), torch.rand(n, 1, generator=g), torch.arange(n).view(n, 1) % 2
        )


@graphfix.target
def mean_dice():
    yield from hard(metrics.compute_dice)


@graphfix.target
def panoptic():
    for seed, n in SIZES:
        g = torch.Generator().manual_seed(seed)
        yield graphfix.Call(
            metrics.compute_panoptic_quality,
            torch.randint(0, 3, (n, n), generator=g),
            torch.randint(0, 3, (n, n), generator=g),
        )


@graphfix.target
def remap_instance():
    for seed, n in SIZES:
        g = torch.Generator().manual_seed(seed)
        yield graphfix.Call(metric_utils.remap_instance_id, torch.randint(0, 4, (n, n), generator=g) * 2)


@graphfix.target
def navit():
    for size in (8, 12):
        torch.manual_seed(0)
        m = nets.NaViT(
            image_size=16,
            patch_size=4,
            in_channels=1,
            num_classes=3,
            hidden_size=16,
            mlp_dim=16,
            num_layers=1,
            num_heads=2,
            spatial_dims=2,
        )
        yield graphfix.Call(
            m.eval().requires_grad_(False),
            [[torch.randn(1, size, size), torch.randn(1, 8, 12)], [torch.randn(1, 8, 8)]],
        )
