"""The records of `bench` and `plan`: frozen plain data, as in `graphfix.model`."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Steady:
    """One call's timed runs, in seconds: each one, their median, and their spread (interquartile range)."""

    runs: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.runs)

    @property
    def spread(self) -> float:
        if len(self.runs) < 2:
            return 0.0
        low, _, high = statistics.quantiles(self.runs, n=4)
        return high - low


@dataclass(frozen=True, slots=True)
class Launches:
    """What one run of a call asks of a GPU; all None on a CPU, and where the profiler failed (`problem`)."""

    kernels: int | None = None
    launches: int | None = None
    replays: int | None = None
    copies: int | None = None
    syncs: int | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class CallTiming:
    """One call of a target in one arm: the first run in a process with empty caches (`first`) and with full ones
    (`warm_first`, None where that was not measured), in seconds; and the steady state."""

    first: float
    steady: Steady
    warm_first: float | None = None
    launches: Launches = Launches()
    argument_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ArmTiming:
    """One way to run a target. `error` says why it has no `calls`.

    `kind` is eager, as is, fixed or plan. `graphs` counts those captured with at least one op, `recompiles` all beyond
    a function's first. `peak_memory` is what torch allocated on a GPU at most in a run, or on a CPU what the process
    held at most, in bytes; `reserved_memory` also counts what CUDA graphs keep. `max_abs_diff` and `difference`
    compare results with the eager arm's.
    """

    name: str
    kind: str
    mode: str | None
    calls: tuple[CallTiming, ...] = ()
    graphs: int | None = None
    recompiles: int = 0
    peak_memory: int | None = None
    reserved_memory: int | None = None
    max_abs_diff: float | None = None
    difference: str | None = None
    inputs_copied: bool = False
    error: str | None = None


@dataclass(frozen=True, slots=True)
class TargetTiming:
    """All arms of one target, the eager one first. `draws`: it draws random numbers, in all arms the same."""

    name: str
    spec: str
    arms: tuple[ArmTiming, ...]
    rounds: int
    draws: bool = False
    device: str | None = None
    gpu: str | None = None
    code: tuple[str, ...] = ()

    @property
    def eager(self) -> ArmTiming | None:
        return next((arm for arm in self.arms if arm.kind == "eager" and arm.calls), None)


@dataclass(frozen=True, slots=True)
class Bench:
    """What `graphfix bench` found: everything a report of it shows."""

    versions: Mapping[str, str]
    targets: Sequence[TargetTiming]
    backend: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A method that was looked at: `calls` runs within one run of the target, `share` of its eager time.

    `members`: so many modules of the same class, taken together. `whole`: one graph holds all of it; else `reason` says
    why it is no region. `breaks`, `graphs` and `ops` are None where it was not captured.
    """

    name: str
    kind: str
    members: int
    calls: int
    share: float
    whole: bool
    reason: str | None
    breaks: int | None = None
    graphs: int | None = None
    ops: int | None = None


@dataclass(frozen=True, slots=True)
class Region:
    """A region of a plan. `eager` and `compiled` are the seconds of all its runs within one run of the target, `first`
    those within the first one, compilation included; None where no clock could be put around it. `nested`: its
    repeated block is compiled once."""

    name: str
    mode: str
    calls: int
    share: float
    code: tuple[str, ...]
    nested: bool = False
    eager: float | None = None
    compiled: float | None = None
    first: float | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Where the host waits for the GPU in one run, `count` times: a line of a file, and the operation that waits.

    `region`: the one within which it does, None outside of all.
    """

    path: str
    line: int
    op: str
    region: str | None
    count: int


@dataclass(frozen=True, slots=True)
class TargetPlan:
    """What to compile of a target. `eager`, `compiled` and `first` are seconds of a whole run.

    `names` says what the names in `code` stand for. `notes` tell what was tried and given up. `difference` is the first
    one between eager and compiled results that is over the tolerance.
    """

    name: str
    spec: str
    error: str | None = None
    candidates: tuple[Candidate, ...] = ()
    regions: tuple[Region, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    eager: float | None = None
    compiled: float | None = None
    first: float | None = None
    graphs: int | None = None
    recompiles: int | None = None
    launches: Launches = Launches()
    waits: tuple[Wait, ...] = ()
    max_abs_diff: float | None = None
    difference: str | None = None
    device: str | None = None

    @property
    def code(self) -> tuple[str, ...]:
        """The lines to paste after the model is built, without imports."""
        return tuple(line for region in self.regions for line in region.code)

    @property
    def imports(self) -> tuple[str, ...]:
        text = "\n".join(self.code)
        return tuple(f"import {name}" for name in ("inspect", "torch") if f"{name}." in text)

    @property
    def proven(self) -> bool:
        """All calls gave eager's results within tolerance."""
        return bool(self.regions) and self.compiled is not None and self.difference is None and self.error is None


@dataclass(frozen=True, slots=True)
class Plans:
    """What `graphfix plan` found."""

    versions: Mapping[str, str]
    targets: Sequence[TargetPlan]
