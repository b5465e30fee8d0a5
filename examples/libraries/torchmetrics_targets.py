"""Targets in torchmetrics.functional.

`graphfix apply examples/libraries/torchmetrics_targets.py --scope torchmetrics --overlay out/`,
where torchmetrics is installed.
"""

import torch
import torchmetrics.functional as tm
import torchmetrics.functional.image as image
import torchmetrics.functional.retrieval as retrieval
import torchmetrics.functional.segmentation as segmentation

import graphfix

SIZES = ((0, 12), (1, 16))


def gen(seed):
    return torch.Generator().manual_seed(seed)


@graphfix.target
def reciprocal_rank():
    for seed, n in SIZES:
        yield graphfix.Call(
            retrieval.retrieval_reciprocal_rank,
            torch.rand(n, generator=gen(seed)),
            torch.rand(n, generator=gen(seed + 5)) > 0.5,
        )


@graphfix.target
def retrieval_average_precision():
    for seed, n in SIZES:
        yield graphfix.Call(
            retrieval.retrieval_average_precision,
            torch.rand(n, generator=gen(seed)),
            torch.rand(n, generator=gen(seed + 5)) > 0.5,
        )


@graphfix.target
def retrieval_ndcg():
    for seed, n in SIZES:
        yield graphfix.Call(
            retrieval.retrieval_normalized_dcg,
            torch.rand(n, generator=gen(seed)),
            torch.randint(0, 3, (n,), generator=gen(seed + 5)),
        )


@graphfix.target
def retrieval_fall_out():
    for seed, n in SIZES:
        yield graphfix.Call(
            retrieval.retrieval_fall_out,
            torch.rand(n, generator=gen(seed)),
            torch.rand(n, generator=gen(seed + 5)) > 0.5,
            top_k=4,
        )


@graphfix.target
def tweedie():
    for seed, n in SIZES:
        yield graphfix.Call(
            tm.tweedie_deviance_score,
            torch.rand(n, generator=gen(seed)) + 0.1,
            torch.rand(n, generator=gen(seed + 5)) + 0.1,
            1.5,
        )


@graphfix.target
def pearson():
    for seed, n in SIZES:
        yield graphfix.Call(
            tm.pearson_corrcoef, torch.rand(n, generator=gen(seed)), torch.rand(n, generator=gen(seed + 5))
        )


@graphfix.target
def spearman():
    for seed, n in SIZES:
        yield graphfix.Call(
            tm.spearman_corrcoef, torch.rand(n, generator=gen(seed)), torch.rand(n, generator=gen(seed + 5))
        )


@graphfix.target
def kendall():
    for seed, n in SIZES:
        yield graphfix.Call(
            tm.kendall_rank_corrcoef, torch.rand(n, generator=gen(seed)), torch.rand(n, generator=gen(seed + 5))
        )


@graphfix.target
def multiclass_auroc():
    for seed, n in SIZES:
        yield graphfix.Call(
            tm.auroc, torch.randn(n, 3, generator=gen(seed)), torch.arange(n) % 3, "multiclass", num_classes=3
        )


@graphfix.target
def binary_auroc_ignore():
    for seed, n in SIZES:
        t = torch.arange(n) % 2
        t[0] = -1
        yield graphfix.Call(tm.auroc, torch.rand(n, generator=gen(seed)), t, "binary", ignore_index=-1)


@graphfix.target
def binary_confusion_ignore():
    for seed, n in SIZES:
        t = torch.arange(n) % 2
        t[0] = -1
        yield graphfix.Call(
            tm.confusion_matrix, torch.rand(n, generator=gen(seed)), t, "binary", ignore_index=-1, validate_args=False
        )


@graphfix.target
def calibration_error():
    for seed, n in SIZES:
        yield graphfix.Call(
            tm.calibration_error, torch.rand(n, generator=gen(seed)), torch.arange(n) % 2, "binary", n_bins=4
        )


@graphfix.target
def psnrb():
    for seed, n in ((0, 16), (1, 24)):
        yield graphfix.Call(
            image.peak_signal_noise_ratio_with_blocked_effect,
            torch.rand(1, 1, n, n, generator=gen(seed)),
            torch.rand(1, 1, n, n, generator=gen(seed + 5)),
            data_range=1.0,
        )


@graphfix.target
def hausdorff():
    for seed, n in ((0, 8), (1, 10)):
        yield graphfix.Call(
            segmentation.hausdorff_distance,
            torch.randint(0, 2, (2, 3, n, n), generator=gen(seed)),
            torch.randint(0, 2, (2, 3, n, n), generator=gen(seed + 5)),
            3,
        )


@graphfix.target
def perplexity_ignore():
    for seed, n in SIZES:
        t = torch.randint(0, 5, (2, n), generator=gen(seed))
        t[:, 0] = -100
        yield graphfix.Call(tm.text.perplexity, torch.randn(2, n, 5, generator=gen(seed)), t, ignore_index=-100)


@graphfix.target
def clustering_mutual_info():
    from torchmetrics.functional.clustering import mutual_info_score

    for seed, n in SIZES:
        yield graphfix.Call(
            mutual_info_score,
            torch.randint(0, 3, (n,), generator=gen(seed)),
            torch.randint(0, 3, (n,), generator=gen(seed + 5)),
        )


@graphfix.target
def davies_bouldin():
    from torchmetrics.functional.clustering import davies_bouldin_score

    for seed, n in SIZES:
        yield graphfix.Call(davies_bouldin_score, torch.randn(n, 4, generator=gen(seed)), torch.arange(n) % 3)
