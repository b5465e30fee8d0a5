"""One job on one target, step by step: build, warm up, explain, run eager, compile, compare, discover."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import torch
import torch._dynamo
from torch.utils._pytree import tree_leaves

from graphfix.dynamo import attempt, capture, cuda, effects, load, planning, replays, signals, timing
from graphfix.dynamo.arcs import trace_arcs
from graphfix.dynamo.assume import held
from graphfix.dynamo.caches import without_early_caches, without_new_constants
from graphfix.dynamo.collector import Collector
from graphfix.dynamo.compare import compare
from graphfix.dynamo.discover import resuming_everywhere
from graphfix.dynamo.failures import compiler_failure, is_out_of_memory, is_torch_broken, short
from graphfix.dynamo.probe import probe
from graphfix.dynamo.record import record_calls
from graphfix.dynamo.repeat import repeatable
from graphfix.message import OTHER_RANDOM_NUMBERS
from graphfix.model import HIDDEN, Call

Results = list[dict[str, Any]]

LEAST_DISCOVERY = 30.0
"""Seconds that the look behind skipped frames may always take; beyond, twice what the scan took so far."""


_BESIDE = {
    "parameters": "the modules' parameters differ",
    "rng": OTHER_RANDOM_NUMBERS,
    "modes": "torch is left in another mode",
    "aliases": "other tensors share memory",
}
"""What is compared beside results: in eager, and in compiled code where nothing but eager's kernels run."""


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
        self._skipped = False
        self._failure: str | None = None
        enter("importing the target")
        load.seed_everything(load.SEED)  # models may be built as the module is imported
        self._function = load.find_function(job["module"], job["path"], job["name"])

    def run(self) -> None:
        job, start = self._job, time.monotonic()
        if job["explain"]:
            self._explain(self._warm_calls(raising=True))
        eager = self._eager() if job["check"] else None
        for backend in job["compile"]:
            if not self._compile(backend, eager):
                return
        if job["signals"] and self._device == "cuda":
            self._watch_device()
        if job["replay"] and (job["replay"]["everywhere"] or self._device == "cuda"):
            self._replay(job["replay"]["backend"], job["replay"]["mode"])
        if job["probe"]:
            calls = self._warm_calls(raising=False)
            self._enter("trying other inputs")
            with repeatable(self._device):
                found = probe(calls, **job["probe"], device=self._device)
            self._emit({"event": "probe", **found})
        if job["assume"]:
            calls = self._warm_calls(raising=False)
            self._enter("looking for lengths that are known")
            self._emit({"event": "assumed", "held": held(calls, job["assume"])})
        if job["time"]:
            calls = self._warm_calls(raising=True)
            self._enter(f"timing {job['time']['name']}")
            timing.steps_of(job, calls, self._device, self._emit)
        if job["plan"]:
            self._plan(**job["plan"])
        if job["discover"] and self._skipped:
            self._emit({"event": "scanned"})  # how the rest ends does not matter to what was seen so far
            self._discover(most=max(LEAST_DISCOVERY, 2 * (time.monotonic() - start)))

    def _replay(self, backend: str, mode: str) -> None:
        def build() -> list[Call]:
            calls = self._warm_calls(raising=False)
            self._enter(f"running round after round with {mode}")
            return calls

        replays.replay(build, backend, mode, self._device, self._emit)

    def _plan(self, step: str, **more: Any) -> None:
        calls = self._warm_calls(raising=True)
        if step == "look":
            planning.look(calls, self._device, emit=self._emit, **more)
        else:
            self._enter("trying the regions")
            attempt.attempt(more, calls, self._device, self._emit)

    def _warm_calls(self, raising: bool) -> list[Call]:
        self._enter("building the calls")
        calls = load.build_calls(self._function, self._device)
        if (path := load.file_of(calls[0])) is not None:
            self._emit({"event": "entry", "path": path})
        self._enter("warming up in eager")
        args, kwargs = capture.copy_arguments(calls[0])
        load.seed_everything(load.SEED)
        with contextlib.nullcontext() if raising else contextlib.suppress(Exception), load.without_compiling():
            calls[0].fn(*args, **kwargs)
        return calls

    def _tell(self, step: str) -> Callable[[dict[str, Any]], None]:
        """Emit events under the name of the step they belong to; a break that skips a frame is kept in mind."""

        def emit(event: dict[str, Any]) -> None:
            self._skipped |= event.get("hides_rest", False)
            self._emit({**event, "pass": step})

        return emit

    def _explain(self, calls: list[Call]) -> None:
        self._enter("explaining call 1")
        tell = self._tell("explain")
        with Collector(tell), signals.watch_skips(self._emit):
            try:
                graphs = capture.explain(calls[0])
            except Exception as error:
                if not self._compiler_failed(error, "explain"):
                    raise
                return
        for graph in graphs:
            tell(graph)
        self._emit({"event": "explained"})

    def _compiler_failed(self, error: BaseException, step: str) -> bool:
        """Report the error as a break, if it is torch's own."""
        event = compiler_failure(error)
        if event:
            self._tell(step)(event)
            self._failure = short(f"{type(error).__name__}: {error}")
        return event is not None

    def _discover(self, most: float) -> None:
        """Compile all calls once more, in a way that shows the breaks behind a skipped frame, for `most` seconds."""
        self._enter("looking behind skipped frames")
        tell = self._tell(HIDDEN)

        def emit(event: dict[str, Any]) -> None:
            if event["event"] == "break" and event["stack"] and event["stack"][-1]["column"] is not None:
                tell(event)

        def give_up() -> None:
            self._emit({"event": "discovery_cut", "seconds": most})
            self._emit({"event": "done"})
            os._exit(0)

        alarm = threading.Timer(most, give_up)
        alarm.daemon = True
        alarm.start()
        with contextlib.suppress(Exception), Collector(emit, forward=False), resuming_everywhere():
            calls = load.build_calls(self._function, self._device)
            torch._dynamo.reset()
            backend = capture.CountingBackend("eager", lambda graph: None)
            record_calls(calls, lambda call: capture.compiled(call, backend))
        alarm.cancel()

    def _watch_device(self, rounds: int = 3) -> None:
        """Run all calls under Inductor with CUDA graphs: compiling, recording and replaying each takes a round."""
        calls = self._warm_calls(raising=False)
        self._enter("watching CUDA graphs and host syncs")
        torch._dynamo.reset()
        try:
            with cuda.watch_cudagraphs(self._emit):
                functions = [torch.compile(call.fn, mode="reduce-overhead") for call in calls]
                for number in range(rounds):
                    last = number == rounds - 1
                    for call, function in zip(calls, functions, strict=True):
                        args, kwargs = capture.copy_arguments(call)
                        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
                        with cuda.watch_syncs(self._emit) if last else contextlib.nullcontext():
                            function(*args, **kwargs)
        except Exception as error:
            if not self._compiler_failed(error, "CUDA graphs"):
                raise

    def _eager(self) -> Results:
        calls = self._warm_calls(raising=False)
        self._enter("running eager")
        with load.without_compiling(), repeatable(self._device), trace_arcs(self._job["trace"]) as arcs:
            results = record_calls(calls, lambda call: call.fn, effects=True)
        for path, found in arcs.items():
            self._emit({"event": "arcs", "path": path, "arcs": sorted(found)})
        if self._job["save"]:
            torch.save(results, self._job["save"])
        if self._job["against"]:
            self._judge_eager(torch.load(self._job["against"], weights_only=False), results)
        return results

    def _judge_eager(self, before: Results, after: Results) -> None:
        difference = None if len(before) == len(after) else f"{len(after)} calls, were {len(before)}"
        states = without_new_constants(before, after)
        for number, (old, new) in enumerate(zip(before, after, strict=False), 1):
            found = compare(old["result"], new["result"], exact=True).difference
            state = compare(old["state"], states[number - 1], exact=True).difference
            found = found or (state and f"state: {state}") or _beside(old, new)
            found = found or effects.difference(old["effects"], new["effects"])
            difference = difference or (found and f"call {number}: {found}")
        self._emit({"event": "eager", "identical": difference is None, "difference": difference})

    def _compile(self, backend: str, eager: Results | None) -> bool:
        """Compile all calls and compare; False where a failure left torch broken, so that this process must end."""
        calls = self._warm_calls(raising=False)
        self._enter(f"compiling with {backend}")
        torch._dynamo.reset()
        signals.clear_recompiles()
        tell = self._tell("compile")
        counter = capture.CountingBackend(backend, tell)
        try:
            with Collector(tell), signals.watch_skips(self._emit), capture.same_random_numbers():
                results = record_calls(
                    calls,
                    lambda call: capture.compiled(call, counter),
                    on_error=lambda error: self._compiler_failed(error, "compile"),
                )
        except RuntimeError:
            if self._failure is None or not is_torch_broken():
                raise
            seen = {"max_abs_diff": None, "difference": f"compiled raised {self._failure}", "beside": None}
            self._emit({"event": "compiled", "calls": len(calls), **seen})
            return False
        for event in signals.recompiles():
            self._emit(event)
        if eager is not None:
            without_early_caches(eager, results)
            self._judge_compiled(eager, results, strict=backend in ("eager", "aot_eager"))
        return True

    def _judge_compiled(self, eager: Results, results: Results, strict: bool) -> None:
        difference, gap, beside = None, None, None
        for number, (expected, actual) in enumerate(zip(eager, results, strict=True), 1):
            found = compare(_seen(expected), _seen(actual), exact=False, device=self._device)
            difference = difference or (found.difference and f"call {number}: {found.difference}")
            if found.max_abs_diff is not None:
                gap = max(gap or 0.0, found.max_abs_diff)
            if is_out_of_memory(expected["exception"] or ""):
                difference = f"call {number}: memory is too small: {short(expected['exception'])}"
            if actual["exception"] and not expected["exception"]:
                difference = f"call {number}: compiled raised {short(actual['exception'])}"
            words = _difference_beside(expected, actual) if strict else None
            beside = beside or (words and f"call {number}, compiled: {words}")
        event = {"event": "compiled", "max_abs_diff": gap, "difference": difference, "calls": len(eager)}
        self._emit({**event, "beside": beside})


def _difference_beside(expected: dict[str, Any], actual: dict[str, Any]) -> str | None:
    """What differs between eager and compiled code that values do not show. Compiled code may give a copy where eager
    hands on what it was given, or a view of it."""
    was, now = ([t.stride() for t in tree_leaves(one["result"]) if _is_strided(t)] for one in (expected, actual))
    copied = (
        {**actual, "aliases": expected["aliases"]} if set(actual["aliases"]) <= set(expected["aliases"]) else actual
    )
    return _beside(expected, copied) or ("strides differ" if was != now else None)


def _is_strided(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.layout is torch.strided


def _beside(old: dict[str, Any], new: dict[str, Any]) -> str | None:
    return next((words for key, words in _BESIDE.items() if old[key] != new[key]), None)


def _seen(record: dict[str, Any]) -> dict[str, Any]:
    """What compiled code has to leave behind as eager code does."""
    return {**record["result"], "state": record["state"]}
