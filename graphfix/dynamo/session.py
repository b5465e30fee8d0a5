"""One job on one target, step by step: build, warm up, explain, run eager, compile, compare."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
import torch._dynamo

from graphfix.dynamo import capture, load, signals, timing
from graphfix.dynamo.arcs import trace_arcs
from graphfix.dynamo.collector import Collector
from graphfix.dynamo.compare import compare
from graphfix.dynamo.failures import compiler_failure, short
from graphfix.dynamo.record import record_calls
from graphfix.model import Call

Results = list[dict[str, Any]]


class Session:
    """Runs a job's steps in order; every step streams what it found before the next begins.

    The calls are built anew, from the same seeds, for each arm that is compared (eager, compiled), and each arm
    starts with the same warm-up, so that lazily filled caches and module state are the same in both.
    """

    def __init__(
        self,
        job: dict[str, Any],
        device: str,
        emit: Callable[[dict[str, Any]], None],
        enter: Callable[[str], None],
    ) -> None:
        self._job, self._device, self._emit, self._enter = job, device, emit, enter
        enter("importing the target")
        self._function = load.find_function(job["module"], job["path"], job["name"])

    def run(self) -> None:
        job = self._job
        if job["explain"]:
            self._explain(self._warm_calls(raising=True))
        eager = self._eager() if job["check"] else None
        if job["compile"]:
            self._compile(job["compile"], eager)
        if job["time"]:
            calls = self._warm_calls(raising=True)
            self._enter(f"timing with {job['time']}")
            self._emit({"event": "timing", **timing.measure(calls[0], job["time"], self._device, job["rounds"])})

    def _warm_calls(self, raising: bool) -> list[Call]:
        self._enter("building the calls")
        calls = load.build_calls(self._function, self._device)
        if (path := load.file_of(calls[0])) is not None:
            self._emit({"event": "entry", "path": path})
        self._enter("warming up in eager")
        args, kwargs = capture.copy_arguments(calls[0])
        load.seed_everything(load.SEED)
        with contextlib.nullcontext() if raising else contextlib.suppress(Exception):
            calls[0].fn(*args, **kwargs)
        return calls

    def _collect(self, step: str) -> Collector:
        """A collector whose breaks carry the name of the step they were seen in."""
        return Collector(lambda event: self._emit({**event, "pass": step}))

    def _explain(self, calls: list[Call]) -> None:
        self._enter("explaining call 1")
        with self._collect("explain"), signals.watch_skips(self._emit):
            try:
                graphs, ops = capture.explain(calls[0])
            except Exception as error:
                if not self._compiler_failed(error, "explain"):
                    raise
                return
        self._emit({"event": "graphs", "graphs": graphs, "ops": ops})

    def _compiler_failed(self, error: BaseException, step: str) -> bool:
        """Report the error as a break, if it is torch's own."""
        event = compiler_failure(error)
        if event:
            self._emit({**event, "pass": step})
        return event is not None

    def _eager(self) -> Results:
        calls = self._warm_calls(raising=False)
        self._enter("running eager")
        with trace_arcs(self._job["trace"]) as arcs:
            results = record_calls(calls, lambda call: call.fn)
        for path, found in arcs.items():
            self._emit({"event": "arcs", "path": path, "arcs": sorted(found)})
        if self._job["save"]:
            torch.save(results, self._job["save"])
        if self._job["against"]:
            self._judge_eager(torch.load(self._job["against"], weights_only=False), results)
        return results

    def _judge_eager(self, before: Results, after: Results) -> None:
        difference = None if len(before) == len(after) else f"{len(after)} calls, were {len(before)}"
        for number, (old, new) in enumerate(zip(before, after, strict=False), 1):
            found = compare(old["result"], new["result"], exact=True).difference
            found = found or next((f"{key} differs" for key in ("state", "rng") if old[key] != new[key]), None)
            difference = difference or (found and f"call {number}: {found}")
        self._emit({"event": "eager", "identical": difference is None, "difference": difference})

    def _compile(self, backend: str, eager: Results | None) -> None:
        calls = self._warm_calls(raising=False)
        self._enter(f"compiling with {backend}")
        torch._dynamo.reset()
        torch._dynamo.utils.clear_compilation_metrics()
        counter = capture.CountingBackend(backend)
        with self._collect("compile"), signals.watch_skips(self._emit), capture.same_random_numbers():
            results = record_calls(
                calls,
                lambda call: capture.compiled(call, counter),
                on_error=lambda error: self._compiler_failed(error, "compile"),
            )
        self._emit({"event": "compiled_graphs", "graphs": sum(ops > 0 for ops in counter.ops)})
        for event in signals.recompiles():
            self._emit(event)
        if eager is not None:
            self._judge_compiled(eager, results)

    def _judge_compiled(self, eager: Results, results: Results) -> None:
        difference, gap = None, None
        for number, (expected, actual) in enumerate(zip(eager, results, strict=True), 1):
            found = compare(expected["result"], actual["result"], exact=False, device=self._device)
            difference = difference or (found.difference and f"call {number}: {found.difference}")
            if found.max_abs_diff is not None:
                gap = max(gap or 0.0, found.max_abs_diff)
            if actual["exception"] and not expected["exception"]:
                difference = f"call {number}: compiled raised {short(actual['exception'])}"
        self._emit({"event": "compiled", "max_abs_diff": gap, "difference": difference})
