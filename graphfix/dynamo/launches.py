"""What one call asks of the GPU: kernels, launches, replays of CUDA graphs, waits of the host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch

from graphfix.dynamo import cuda

_LAUNCH = ("cudaLaunchKernel", "cuLaunchKernel")
_REPLAY = ("cudaGraphLaunch", "cuGraphLaunch")
_NO_KERNEL = ("Memcpy", "Memset")


def launches(
    run: Callable[[], object], device: str, on_wait: Callable[[dict[str, Any]], None] = lambda event: None
) -> dict[str, Any]:
    """Counts for one run on CUDA: `kernels` (run by the device), `launches` (asked for by the host, one by one),
    `replays` (CUDA graphs started), `copies` (of memory, by the device) and `syncs` (waits of the host).

    All None on other devices. `problem` says why nothing was counted where the profiler fails. `on_wait` hears of each
    wait as it happens (see `graphfix.dynamo.cuda.watch_syncs`).
    """
    none: dict[str, Any] = dict.fromkeys(("kernels", "launches", "replays", "copies", "syncs"))
    if device != "cuda":
        return none
    try:
        with torch.profiler.profile(activities=[_KIND.CPU, _KIND.CUDA]) as profile:
            run()
            torch.cuda.synchronize()
        counted = count(profile.events())
    except RuntimeError as error:
        counted = none | {"problem": str(error).splitlines()[0]}
    waits = 0

    def count_wait(event: dict[str, Any]) -> None:
        nonlocal waits
        waits += 1
        on_wait(event)

    with cuda.watch_syncs(count_wait):
        run()
    return {**counted, "syncs": waits}


_KIND = torch.profiler.ProfilerActivity


def count(events: Any) -> dict[str, int]:
    """The counts, from a profile's events."""
    host, device = Counter[str](), Counter[bool]()
    for event in events:
        if getattr(event, "is_user_annotation", False):
            continue
        if event.device_type.name == "CUDA":
            device[event.name.startswith(_NO_KERNEL)] += 1
        else:
            host[event.name] += 1
    return {
        "kernels": device[False],
        "copies": device[True],
        "launches": sum(number for name, number in host.items() if name.startswith(_LAUNCH)),
        "replays": sum(number for name, number in host.items() if name.startswith(_REPLAY)),
    }
