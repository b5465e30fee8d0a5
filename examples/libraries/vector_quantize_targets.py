"""Targets in vector_quantize_pytorch (training mode: codebook upkeep).

`graphfix apply examples/libraries/vector_quantize_targets.py --scope vector_quantize_pytorch --overlay out/`,
where vector_quantize_pytorch is installed.
"""

import torch
import vector_quantize_pytorch as vq

import graphfix

SIZES = ((0, 2, 12), (1, 3, 10))


def of(make, dim=8, train=False):
    for _seed, n, t in SIZES:
        torch.manual_seed(0)
        m = make().train(train).requires_grad_(False)
        yield graphfix.Call(m, torch.randn(n, t, dim))


@graphfix.target
def vq_train_expire():
    yield from of(lambda: vq.VectorQuantize(8, 16, threshold_ema_dead_code=1), train=True)


@graphfix.target
def vq_train_kmeans():
    yield from of(lambda: vq.VectorQuantize(8, 4, kmeans_init=True, kmeans_iters=3), train=True)


@graphfix.target
def vq_masked():
    for _seed, n, t in SIZES:
        torch.manual_seed(0)
        m = vq.VectorQuantize(8, 16).eval().requires_grad_(False)
        yield graphfix.Call(
            m, torch.randn(n, t, 8), mask=torch.arange(t)[None] < torch.tensor([t, t - 3, t - 5][:n])[:, None]
        )


@graphfix.target
def vq_cosine_orthogonal_active():
    yield from of(
        lambda: vq.VectorQuantize(8, 16, orthogonal_reg_weight=10, orthogonal_reg_active_codes_only=True), train=True
    )


@graphfix.target
def residual_vq_dropout():
    for _seed, n, t in SIZES:
        torch.manual_seed(0)
        m = vq.ResidualVQ(dim=8, codebook_size=16, num_quantizers=4, quantize_dropout=True).train()
        yield graphfix.Call(m, torch.randn(n, t, 8))


@graphfix.target
def grouped_residual_train():
    yield from of(lambda: vq.GroupedResidualVQ(dim=8, codebook_size=8, num_quantizers=2, groups=2), train=True)
