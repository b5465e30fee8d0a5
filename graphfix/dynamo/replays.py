"""Runs compiled calls round after round, as a server does, and compares each round with eager.

Under CUDA graphs the first round compiles and warms up, the second records, and from then on graphs are replayed: what
was baked in by mistake (an input's address, a random number, a value that the host read once) shows only there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch.utils._pytree import tree_map

from graphfix.dynamo import capture, cuda, load
from graphfix.dynamo.compare import compare, snapshot
from graphfix.dynamo.failures import short
from graphfix.dynamo.timing import options
from graphfix.model import Call

ROUNDS = 4
"""The first one that replays a CUDA graph is the second, so that three replays are compared."""

Emit = Callable[[dict[str, Any]], None]


def replay(build: Callable[[], list[Call]], backend: str, mode: str, device: str, emit: Emit) -> None:
    """Emit `replays`: whether every call agrees with eager in every round, what failed, and where the host waits.

    Each round has arguments at other addresses, other values in those of floating dtype, and another seed. `build`
    makes the calls anew, so that eager and compiled code start from the same state.
    """
    with load.without_compiling():
        calls = build()
        expected = [_run(calls, [call.fn for call in calls], number) for number in range(ROUNDS)]
    calls = build()
    torch._dynamo.reset()
    found: dict[str, Any] = {"difference": None, "max_abs_diff": None, "failure": None}
    with capture.same_random_numbers(), cuda.watch_cudagraphs(emit):
        functions = [torch.compile(call.fn, **options(backend, mode)) for call in calls]
        for number in range(ROUNDS):
            last = number == ROUNDS - 1
            watch = partial(cuda.watch_syncs, emit) if last and device == "cuda" else contextlib.nullcontext
            actual = _run(calls, functions, number, watch)
            _judge(found, expected[number], actual, number, device)
    emit({"event": "replays", "mode": mode, "rounds": ROUNDS, "calls": len(calls), **found})


def _run(
    calls: Sequence[Call],
    functions: Sequence[Callable[..., Any]],
    number: int,
    watch: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext,
) -> list[Any]:
    """The results of one round, each call in a `watch`. Snapshots wait for the device, so they are taken outside."""
    results = []
    for call, function in zip(calls, functions, strict=True):
        args, kwargs = tree_map(lambda leaf: _scaled(leaf, number), capture.copy_arguments(call))
        load.seed_everything(load.SEED + number)
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        try:
            with watch():
                output = function(*args, **kwargs)
            results.append(snapshot({"output": output, "arguments": [args, kwargs]}))
        except Exception as error:
            results.append(f"{type(error).__name__}: {error}")
    return results


def _scaled(leaf: Any, number: int) -> Any:
    if not isinstance(leaf, torch.Tensor) or not leaf.is_floating_point() or not number:
        return leaf
    return (leaf.detach() * (1 - number / 8)).requires_grad_(leaf.requires_grad)


def _judge(found: dict[str, Any], expected: Sequence[Any], actual: Sequence[Any], number: int, device: str) -> None:
    for call, (old, new) in enumerate(zip(expected, actual, strict=True), 1):
        where = f"round {number + 1}, call {call}"
        if isinstance(new, str):
            if not isinstance(old, str):
                found["failure"] = found["failure"] or f"{where}: {short(new)}"
            continue
        if isinstance(old, str):
            found["difference"] = found["difference"] or f"{where}: does not raise {short(old)}"
            continue
        compared = compare(old, new, exact=False, device=device)
        if compared.difference:
            found["difference"] = found["difference"] or f"{where}: {compared.difference}"
        if compared.max_abs_diff is not None:
            found["max_abs_diff"] = max(found["max_abs_diff"] or 0.0, compared.max_abs_diff)
