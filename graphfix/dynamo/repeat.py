"""Eager runs that can be compared bit for bit on a GPU."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import torch
import torch.utils.deterministic
from torch.backends import cudnn


@contextlib.contextmanager
def repeatable(device: str) -> Iterator[None]:
    """On CUDA, let torch take kernels that give the same bits in every run, as far as it has them: cuDNN's choice for a
    convolution, and sums by atomic additions, differ from one process to the next."""
    if device != "cuda":
        yield
        return
    memory: Any = torch.utils.deterministic
    fill, mode, benchmark = memory.fill_uninitialized_memory, torch.get_deterministic_debug_mode(), cudnn.benchmark
    memory.fill_uninitialized_memory, cudnn.benchmark = False, False
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*deterministic", category=UserWarning)
            yield
    finally:
        torch.set_deterministic_debug_mode(mode)
        memory.fill_uninitialized_memory, cudnn.benchmark = fill, benchmark
