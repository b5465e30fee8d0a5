"""Tries regions end to end: pastes their code, runs the calls, compares with eager, times the whole and each region."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import torch
import torch._dynamo

from graphfix.dynamo import capture, load, regions, signals
from graphfix.dynamo.calltree import between, mark_of
from graphfix.dynamo.collector import Collector
from graphfix.dynamo.compare import compare, snapshot
from graphfix.dynamo.graphs import watch_graphs
from graphfix.dynamo.inputs import Inputs
from graphfix.dynamo.launches import launches
from graphfix.dynamo.planning import failure_of, tree_of
from graphfix.dynamo.region import Region
from graphfix.dynamo.timing import draws
from graphfix.model import Call

Emit = Callable[[dict[str, Any]], None]

SETTLE = 4
OVERWRITTEN = "overwritten by a subsequent run"
"""From torch's error where the output of a CUDA graph is read after the next replay."""


def attempt(job: dict[str, Any], calls: Sequence[Call], device: str, emit: Emit) -> None:
    """Emit `attempt`: times, gaps and launches; or what failed, `failed` naming the region if one is to blame.

    `job` holds `regions` (their keys, the code and its name) and `rounds`.
    """
    nodes, _ = tree_of(calls[0], device)
    chosen = [
        (each["name"], Region([nodes[tuple(key)] for key in each["keys"]]), each["code"]) for each in job["regions"]
    ]
    with ExitStack() as stack:
        if draws(calls):
            stack.enter_context(capture.same_random_numbers())
        trial = _Trial(calls, device, emit)
        with load.without_compiling():
            eager = trial.run(chosen, [call.fn for call in calls], job["rounds"])
            expected = trial.results
        for _, region, _ in chosen:
            region.restore()
        torch._dynamo.reset()
        signals.clear_recompiles()
        breaks: list[dict[str, Any]] = []
        graphs: list[int] = []
        stack.enter_context(Collector(breaks.append))
        stack.enter_context(watch_graphs(graphs.append))
        lines = [line for *_, code in chosen for line in code]
        try:
            functions = regions.apply(lines, calls)
            compiled = trial.run(chosen, functions, job["rounds"])
        except Exception as error:
            emit({"event": "attempt", "failure": failure_of(error), "failed": trial.inside, **kind_of(error)})
            return
        difference, gap = _agreement(expected, trial.results, device)
        emit(
            {
                "event": "attempt",
                "failure": None,
                "failed": None,
                "difference": difference,
                "max_abs_diff": gap,
                "eager": eager,
                "compiled": compiled,
                "graphs": sum(ops > 0 for ops in graphs),
                "breaks": len(breaks),
                "recompiles": len(signals.recompiles()),
            }
        )


def kind_of(error: BaseException) -> dict[str, bool]:
    """Whether the error is a lack of memory, or the reading of what a CUDA graph has overwritten."""
    return {
        "out_of_memory": isinstance(error, torch.OutOfMemoryError),
        "overwritten": OVERWRITTEN in str(error),
    }


class _Trial:
    """Runs all calls some times, each region of them with a clock around it."""

    def __init__(self, calls: Sequence[Call], device: str, emit: Emit) -> None:
        self._calls, self._device, self._emit = calls, device, emit
        self._inputs = [Inputs(call) for call in calls]
        self._mark = mark_of(device)
        self._runs: dict[str, list[tuple[Any, Any]]] = {}
        self.inside: str | None = None
        self.results: list[Any] = []

    def run(
        self, chosen: Sequence[tuple[str, Region, Sequence[str]]], functions: Sequence[Callable[..., Any]], rounds: int
    ) -> dict[str, Any]:
        """Seconds of first and later runs, of all calls and of the regions in the first one; keeps the results."""
        self.inside = None
        for name, region, _ in chosen:
            region.wrap(lambda function, name=name: self._clocked(function, name))  # type: ignore[misc]
        self._runs = {name: [] for name, *_ in chosen}
        first = [self._seconds(number, function) for number, function in enumerate(functions)]
        begun = self._total_by_region()
        for _ in range(SETTLE):
            for number, function in enumerate(functions):
                self._seconds(number, function)
        times, parts = list[float](), list[dict[str, float]]()
        for _ in range(rounds):
            self._runs = {name: [] for name, *_ in chosen}
            times.append(self._seconds(0, functions[0]))
            parts.append(self._total_by_region())
        self.results = [self._result(number, function) for number, function in enumerate(functions)]
        args, kwargs = self._prepared(0)
        waits: list[dict[str, Any]] = []
        return {
            "first": first,
            "median": statistics.median(times),
            "runs": times,
            "regions": {name: statistics.median(part[name] for part in parts) for name in self._runs},
            "regions_first": begun,
            "launches": launches(
                lambda: functions[0](*args, **kwargs),
                self._device,
                lambda wait: waits.append({**wait, "region": self.inside}),
            ),
            "waits": waits,
        }

    def _clocked(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            if not self._runs[name]:
                self._emit({"event": "inside", "name": name})
            self.inside = name
            start = self._mark()
            output = function(*args, **kwargs)
            self._runs[name].append((start, self._mark()))
            self.inside = None
            return output

        return run

    def _total_by_region(self) -> dict[str, float]:
        return {name: sum(between(*pair) for pair in pairs) for name, pairs in self._runs.items()}

    def _prepared(self, number: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        arguments = self._inputs[number].fresh()
        load.seed_everything(load.SEED)
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        return arguments

    def _seconds(self, number: int, function: Callable[..., Any]) -> float:
        args, kwargs = self._prepared(number)
        if self._device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        function(*args, **kwargs)
        if self._device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    def _result(self, number: int, function: Callable[..., Any]) -> Any:
        args, kwargs = self._prepared(number)
        return snapshot({"output": function(*args, **kwargs), "arguments": [args, kwargs]})


def _agreement(expected: Sequence[Any], actual: Sequence[Any], device: str) -> tuple[str | None, float | None]:
    compared = [compare(old, new, exact=False, device=device) for old, new in zip(expected, actual, strict=True)]
    gaps = [one.max_abs_diff for one in compared if one.max_abs_diff is not None]
    differences = [f"call {n}: {one.difference}" for n, one in enumerate(compared, 1) if one.difference]
    return (differences[0] if differences else None), max(gaps, default=None)
