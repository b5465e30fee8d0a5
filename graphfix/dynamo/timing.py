"""Times a target's calls in one process: eager and compiled, interleaved."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torch._dynamo

from graphfix.dynamo import capture, load
from graphfix.model import Call


def measure(call: Call, backend: str, device: str, rounds: int) -> dict[str, Any]:
    """Seconds of the first call of each kind, and median and spread (interquartile range) of `rounds` later ones.

    The kinds take turns, so that a machine that slows down slows both. Graphs count those with at least one op.
    """
    torch._dynamo.reset()
    graphs: list[dict[str, Any]] = []
    compiled = capture.compiled(call, capture.CountingBackend(backend, graphs.append))
    kinds: dict[str, Callable[..., Any]] = {"eager": call.fn, "compiled": compiled}
    first = {kind: _seconds(call, function, device) for kind, function in kinds.items()}
    for function in kinds.values():
        _seconds(call, function, device)
    later: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind, function in kinds.items():
            later[kind].append(_seconds(call, function, device))
    return {
        kind: {"first": first[kind], "median": statistics.median(times), "spread": _spread(times)}
        for kind, times in later.items()
    } | {"graphs": sum(graph["ops"] > 0 for graph in graphs)}


def _seconds(call: Call, function: Callable[..., Any], device: str) -> float:
    args, kwargs = capture.copy_arguments(call)
    load.seed_everything(load.SEED)
    _synchronize(device)
    start = time.perf_counter()
    function(*args, **kwargs)
    _synchronize(device)
    return time.perf_counter() - start


def _synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _spread(times: list[float]) -> float:
    low, _, high = statistics.quantiles(times, n=4)
    return high - low
