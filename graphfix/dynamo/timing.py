"""Times one arm of a bench: eager, compiled whole, or compiled in regions; takes turns with the others."""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch._dynamo

from graphfix.dynamo import capture, load, regions, signals
from graphfix.dynamo.compare import compare, snapshot
from graphfix.dynamo.graphs import watch_graphs
from graphfix.dynamo.inputs import Inputs
from graphfix.dynamo.launches import launches
from graphfix.dynamo.record import random_states
from graphfix.model import Call

Emit = Callable[[dict[str, Any]], None]

SETTLE = 4
"""Calls between the first and the timed ones: under CUDA graphs the second one warms up and the third records."""
IN_A_TURN = 8
"""The most calls that are timed in one turn."""
TURN_SECONDS = 0.1
"""A turn ends after so long."""


@dataclass
class Arm:
    """How the target's calls are run: `kind` is eager, compiled or regions.

    `mode` is torch.compile's, `backend` another one than Inductor, `code` what a user would paste to compile regions.
    """

    kind: str
    mode: str | None
    backend: str
    code: tuple[str, ...]

    def functions(self, calls: Sequence[Call]) -> list[Callable[..., Any]]:
        """What is called instead of each call's function."""
        if self.kind == "compiled":
            return [torch.compile(call.fn, **options(self.backend, self.mode)) for call in calls]
        if self.kind == "regions":
            return regions.apply(self.code, calls)
        return [call.fn for call in calls]


def options(backend: str, mode: str | None) -> dict[str, Any]:
    """The arguments of torch.compile."""
    if backend != "inductor":
        return {"backend": backend}
    return {"mode": mode} if mode not in (None, "default") else {}


def steps_of(job: dict[str, Any], calls: Sequence[Call], device: str, emit: Emit) -> None:
    """Run the arm that the job describes, round by round as lines arrive in `turns` (see graphfix.prove.turns)."""
    wanted = job["time"]
    arm = Arm(wanted["kind"], wanted["mode"], wanted["backend"], tuple(wanted["code"]))
    chosen = list(calls)[: wanted["calls"]]
    with contextlib.ExitStack() as stack:
        random = draws(chosen)
        if random:
            stack.enter_context(capture.same_random_numbers())
        if arm.kind == "eager":
            stack.enter_context(load.without_compiling())
        graphs: list[int] = []
        stack.enter_context(watch_graphs(graphs.append))
        signals.clear_recompiles()
        torch._dynamo.reset()
        runner = _Runner(chosen, arm, device)
        emit({"event": "timing_begins", "draws": random})
        first = runner.first()
        emit({"event": "first", "seconds": first, "graphs": sum(ops > 0 for ops in graphs)})
        if wanted["turns"] is None:
            return
        runner.settle()
        emit({"event": "ready", "waits": True})  # for its turn: others run, which is not this one's time
        with open(wanted["turns"], encoding="utf-8") as turns:
            while turns.readline() == "go\n":
                emit({"event": "turn"})
                emit({"event": "round", "seconds": runner.turn(), "waits": True})
        emit({"event": "ended", **_rest(runner, wanted, device), "graphs": sum(ops > 0 for ops in graphs)})


def _rest(runner: _Runner, wanted: dict[str, Any], device: str) -> dict[str, Any]:
    """What is measured after the rounds: results, launches, memory, recompiles."""
    found = {
        "recompiles": len(signals.recompiles()),
        "inputs_copied": any(inputs.copied for inputs in runner.inputs),
        "argument_bytes": [inputs.bytes_of_arguments() for inputs in runner.inputs],
        "peak_memory": runner.peak if device == "cuda" else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "reserved_memory": torch.cuda.max_memory_reserved() if device == "cuda" else None,
        "launches": [runner.launches(number) for number in range(len(runner.calls))],
    }
    results = runner.results()
    if wanted["save"]:
        torch.save(results, wanted["save"])
    if wanted["against"] and Path(wanted["against"]).exists():
        found |= _agreement(torch.load(wanted["against"], weights_only=False), results, device)
    return found


def _agreement(expected: list[Any], actual: list[Any], device: str) -> dict[str, Any]:
    compared = [compare(old, new, exact=False, device=device) for old, new in zip(expected, actual, strict=True)]
    gaps = [one.max_abs_diff for one in compared if one.max_abs_diff is not None]
    differences = [f"call {n}: {one.difference}" for n, one in enumerate(compared, 1) if one.difference]
    return {"max_abs_diff": max(gaps, default=None), "difference": differences[0] if differences else None}


def draws(calls: Sequence[Call]) -> bool:
    """Whether a call draws random numbers in eager: then compiled code is told to draw the same ones."""
    for call in calls:
        args, kwargs = capture.copy_arguments(call)
        load.seed_everything(load.SEED)
        before = random_states()
        with load.without_compiling():
            call.fn(*args, **kwargs)
        if random_states() != before:
            return True
    return False


class _Runner:
    """Runs an arm's calls, each with restored arguments and the same seed, and keeps the peak of memory."""

    def __init__(self, calls: Sequence[Call], arm: Arm, device: str) -> None:
        self.calls, self._device, self.peak = calls, device, 0
        self._functions = arm.functions(calls)
        self.inputs = [Inputs(call) for call in calls]
        self._output: Any = None

    def first(self) -> list[float]:
        """Seconds of each call's first run, in order: with compilation, and recompilation for further shapes."""
        return [self._seconds(number) for number in range(len(self.calls))]

    def settle(self) -> None:
        for number in range(len(self.calls)):
            for _ in range(SETTLE):
                self._seconds(number)

    def turn(self) -> list[list[float]]:
        """Seconds of some runs of each call; the first run of a turn finds a device that another process used."""
        found = []
        for number in range(len(self.calls)):
            self._seconds(number)
            start, times = time.perf_counter(), list[float]()
            while not times or (time.perf_counter() - start < TURN_SECONDS and len(times) < IN_A_TURN):
                times.append(self._seconds(number))
            found.append(times)
        return found

    def results(self) -> list[Any]:
        """Each call's output and arguments after one more run: under CUDA graphs, a replay."""
        found = []
        for number in range(len(self.calls)):
            args, kwargs = self._prepared(number)
            output = self._functions[number](*args, **kwargs)
            found.append(snapshot({"output": output, "arguments": [args, kwargs]}))
        return found

    def launches(self, number: int) -> dict[str, Any]:
        def run() -> None:
            self._functions[number](*args, **kwargs)

        args, kwargs = self._prepared(number)
        return launches(run, self._device)

    def _prepared(self, number: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        self._output = None  # frees the last output, as a server does that has sent it
        arguments = self.inputs[number].fresh()
        load.seed_everything(load.SEED)
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        return arguments

    def _seconds(self, number: int) -> float:
        args, kwargs = self._prepared(number)
        with self._on_device():
            start = time.perf_counter()
            self._output = self._functions[number](*args, **kwargs)
            _synchronize(self._device)
            return time.perf_counter() - start

    @contextlib.contextmanager
    def _on_device(self) -> Iterator[None]:
        if self._device != "cuda":
            yield
            return
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        yield
        self.peak = max(self.peak, torch.cuda.max_memory_allocated())


def _synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
