"""Runs a target's calls and records all that each one did: output or exception, arguments, state, random numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from graphfix.dynamo.capture import copy_arguments
from graphfix.dynamo.compare import digest, snapshot
from graphfix.dynamo.load import SEED, module_of, seed_everything
from graphfix.model import Call


def record_calls(
    calls: Sequence[Call],
    runner: Callable[[Call], Callable[..., Any]],
    on_error: Callable[[BaseException], object] = lambda error: None,
) -> list[dict[str, Any]]:
    """Run every call in order, through what `runner` makes of it, each with the same seed.

    Returns one dict a call: `result` (output or exception, arguments afterwards; as snapshots), `state` (digest of
    the module's parameters and buffers) and `rng` (digest of the CPU generator), both after the call. An exception
    is a result; `on_error` sees it too.
    """
    return [_record(call, runner(call), SEED + index, on_error) for index, call in enumerate(calls)]


def _record(
    call: Call, function: Callable[..., Any], seed: int, on_error: Callable[[BaseException], object]
) -> dict[str, Any]:
    args, kwargs = copy_arguments(call)
    seed_everything(seed)
    raised: dict[str, Any] = {}
    output: Any = None
    try:
        output = function(*args, **kwargs)
    except Exception as error:
        raised = {"exception": f"{type(error).__name__}: {error}"}
        on_error(error)
    return {
        "result": {"output": snapshot(output), "exception": snapshot(raised), "arguments": snapshot([args, kwargs])},
        "exception": raised.get("exception"),
        "state": digest(_state(call.fn)),
        "rng": digest({"cpu": torch.get_rng_state()}),
    }


def _state(function: Any) -> dict[str, torch.Tensor]:
    module = module_of(function)
    return {} if module is None else {**dict(module.named_parameters()), **dict(module.named_buffers())}
