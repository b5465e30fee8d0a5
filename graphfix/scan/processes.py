"""Spreads work on many files over processes, where that pays."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_WORTH = 100
"""Fewer items than this are done sooner by one process."""


def side_by_side(work: Callable[[T], R], items: Sequence[T], jobs: int) -> list[R]:
    """`work` of each item, in order, in up to `jobs` processes (0: one for each processor)."""
    workers = min(jobs or len(os.sched_getaffinity(0)), len(items) // _WORTH)
    if workers < 2:
        return [work(item) for item in items]
    context = multiprocessing.get_context("fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        return list(pool.map(work, items, chunksize=max(1, len(items) // (workers * 8))))
