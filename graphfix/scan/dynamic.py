"""Scans targets: one worker process each, its events gathered into a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from graphfix.model import Status, Target, TargetReport
from graphfix.rule import Rule
from graphfix.scan.observation import Observation
from graphfix.scan.process import Ending, Event, end_all, run_jobs
from graphfix.scan.targets import module_and_name
from graphfix.source.sources import Sources

T = TypeVar("T")
R = TypeVar("R")

Progress = Callable[[str, str], None]
"""Called with a target's name and the step it is in."""


@dataclass(frozen=True, slots=True)
class Options:
    """How targets are run: `device` None is CUDA where there is one; `timeout` in seconds for each process.

    `scope` holds the folders that the user named; breaks are shown in the innermost frame inside them. A `quick` scan
    explains the first call and no more; a thorough one compiles all calls under `aot_eager`, and `backend` if one is
    named, and looks behind skipped frames.
    """

    rules: Sequence[Rule]
    device: str | None = None
    timeout: float = 600.0
    jobs: int = 1
    scope: tuple[str, ...] = ()
    quick: bool = False
    backend: str | None = None


def scan(targets: Sequence[Target], options: Options, progress: Progress) -> list[TargetReport]:
    """Report every target, in order, up to `options.jobs` of them side by side."""
    return side_by_side(lambda target: scan_one(target, options, progress), targets, options.jobs)


def side_by_side(function: Callable[[T], R], items: Sequence[T], jobs: int) -> list[R]:
    """The function's results for all items, in their order; up to `jobs` at a time. Ctrl-C ends all workers."""
    if jobs == 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(jobs) as pool:
        try:
            return list(pool.map(function, items))
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            end_all()
            raise


def scan_one(target: Target, options: Options, progress: Progress) -> TargetReport:
    """Compile one target in a worker process of its own and report what broke."""
    seen = observe([scan_job(target, options)], options, _tell(target, progress))
    return seen.report(target, Sources(), options.rules)


def scan_job(target: Target, options: Options) -> dict[str, Any]:
    """The worker job of a scan."""
    if options.quick:
        return make_job(target, options, explain=True)
    backends = dict.fromkeys(["aot_eager", *filter(None, [options.backend])])
    return make_job(target, options, explain=True, compile=list(backends), discover=True, signals=True)


def _tell(target: Target, progress: Progress) -> Callable[[str], None]:
    return lambda step: progress(target.name, step)


def make_job(target: Target, options: Options, **steps: Any) -> dict[str, Any]:
    """A worker job (see `graphfix.dynamo.worker`) with every step off but those named."""
    module, path, name = module_and_name(target)
    off = {
        "overlay": {},
        "explain": False,
        "compile": (),
        "discover": False,
        "signals": False,
        "check": False,
        "save": None,
        "against": None,
        "trace": False,
        "probe": None,
        "assume": (),
        "time": None,
        "plan": None,
        "replay": None,
        "environment": {},
    }
    return {"module": module, "path": path, "name": name, "device": options.device, **off, **steps}


def observe(
    jobs: Sequence[Mapping[str, Any]],
    options: Options,
    tell: Callable[[str], None],
    also: Callable[[Event], object] = lambda event: None,
) -> Observation:
    """Run one job in a worker process of its own."""
    return observe_all(jobs, options, tell, also)[0]


def observe_all(
    jobs: Sequence[Mapping[str, Any]],
    options: Options,
    tell: Callable[[str], None],
    also: Callable[[Event], object] = lambda event: None,
) -> list[Observation]:
    """Run jobs one after the other in one worker process; one observation each. `also` gets each event as it comes."""
    seen = [Observation(options.scope) for _ in jobs]

    def on_event(event: Event) -> None:
        if event["event"] == "stage":
            tell(event["text"])
        seen[event["job"]].add(event)
        also(event)

    ending = run_jobs(jobs, options.timeout, on_event)
    for observation in seen:
        whole = observation.facts.keys() & {"done", "scanned"}
        observation.ending = Ending(Status.OK, None, ending.seconds) if whole else ending
    return seen
