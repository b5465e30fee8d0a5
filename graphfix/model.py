"""The records: frozen plain data that crosses processes, becomes JSON and compares by value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

HIDDEN = "discovery"
"""The step of a scan that looks behind skipped frames."""

RECOMPILED = "recompile"
"""Stands where a break has its id, at a place for whose values a function is compiled again."""

HOST_COPY = "host copy"
"""Stands where a break has its id, at a place where compiled code copies a tensor from the host to the device."""


class Safety(StrEnum):
    """How much a fix may be trusted without a look (docs/safety.md)."""

    EXACT = "exact"
    """The same eager behaviour by construction; applied without a target."""
    PROVEN = "proven"
    """Correct under conditions that a run must show; applied only after its verdict."""
    UNSAFE = "unsafe"
    """Changes something a user could rely on; needs `--unsafe`."""


class Certainty(StrEnum):
    """How sure a static finding is (docs/static.md)."""

    CERTAIN = "certain"
    """The text shows that the code breaks the graph where a compiled region runs it."""
    LIKELY = "likely"
    """A tensor, or the compiled region, is guessed; shown with `--all`."""


class Status(StrEnum):
    """How a target's worker process ended."""

    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"
    CRASH = "crash"


@dataclass(frozen=True, slots=True)
class Location:
    """A span of source: lines from 1, columns from 0 in characters, the end exclusive.

    `column` and `end_column` are None where Python or torch gave no columns: the span is the whole line.
    """

    path: str
    line: int
    column: int | None = None
    end_line: int | None = None
    end_column: int | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a user stack, outermost first in `Break.stack`."""

    path: str
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class Break:
    """A graph break as Dynamo reported it, at one site.

    `id` is Dynamo's registry id (`GB0124`), None where torch has no registry entry. `seen` is how often the site was
    reported while call 1 was explained, or else in the pass that saw it most. `hides_rest`: Dynamo skipped the rest of
    the frame, so that later breaks in it are not reported yet; `hidden`: only the discovery pass saw it, behind such a
    frame. `graphs` counts the graphs with ops that end at it, `in_loop` says whether it, or a call that leads to it,
    stands in a loop. `real` is the innermost place that Dynamo or the backend names, None where that is in
    `location`'s own file. `consequences` are ids Dynamo reported only because of this break. `note` says what is the
    matter with the file of a site that a log tells of.
    """

    id: str | None
    type: str
    explanation: str
    hints: tuple[str, ...]
    location: Location
    function: str
    stack: tuple[Frame, ...] = ()
    seen: int = 1
    hides_rest: bool = False
    hidden: bool = False
    graphs: int = 0
    in_loop: bool = False
    consequences: tuple[str, ...] = ()
    real: Location | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Something to compile: `spec` as the user wrote it, expanded to one function (`file.py::flow`)."""

    spec: str
    name: str


class Call:
    """One call of a target: `Call(fn, *args, **kwargs)` stands for `fn(*args, **kwargs)`.

    Made by a target, inside the worker process only. graphfix copies `args` and `kwargs` before every run, so that
    a call that writes to its arguments can be run many times. With `grad=True` the gradients of a weighted sum of the
    outputs, for arguments and parameters, belong to what a fix must not change.
    """

    __slots__ = ("args", "fn", "grad", "kwargs")

    def __init__(self, fn: Callable[..., Any], /, *args: Any, grad: bool = False, **kwargs: Any) -> None:
        if not callable(fn):
            raise TypeError(f"graphfix.Call needs something callable first, not {type(fn).__name__}")
        self.fn, self.args, self.kwargs, self.grad = fn, args, kwargs, grad

    def __repr__(self) -> str:
        return f"Call({getattr(self.fn, '__qualname__', type(self.fn).__name__)}, …)"


def target(function: F) -> F:
    """Mark a function as a graphfix target: it yields (or returns) the calls to compile.

    The first call is compiled; all of them are checked, so yield a second one of another shape.
    """
    function.__graphfix_target__ = True  # type: ignore[attr-defined]
    return function


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the characters `start:end` of the file at `path` by `text` (offsets into the decoded file)."""

    path: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Assumption:
    """A condition (`lengths.max() == x.shape[1]`) that a fix asserts before the line of the file at `path`.

    A run that does not compile tells beforehand whether it holds on the target's calls.
    """

    path: str
    line: int
    condition: str


@dataclass(frozen=True, slots=True)
class Fix:
    """A rewrite offered for one finding; `diff` is unified, against the sources it was made for.

    `branch` is the condition of the branch that it rewrites, if it rewrites one; `dual` says that the original code
    stays for eager; `assumption` is what the new code asserts on the device; `onward` holds the places to which the
    break moves: the fix is worth keeping only if those are repaired as well.
    """

    rule: str
    title: str
    safety: Safety
    edits: tuple[Edit, ...]
    diff: str
    branch: Location | None = None
    dual: bool = False
    assumption: Assumption | None = None
    onward: tuple[Location, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """A place to repair: found statically (`break_` is None) or reported by Dynamo (`break_` says why).

    `rule` is the code of the rule that knows the pattern, None where no rule does. `code` is the user's own line.
    `function` is the qualified name of the function around a static finding, empty at module level. `safety` says how
    much the rule's fixes may be trusted where none was made yet, None for a rule that makes none.
    """

    location: Location
    rule: str | None
    message: str
    code: str = ""
    break_: Break | None = None
    fix: Fix | None = None
    certainty: Certainty = Certainty.CERTAIN
    function: str = ""
    safety: Safety | None = None


@dataclass(frozen=True, slots=True)
class Recompile:
    """A function that was compiled again: the guard that failed (`reason`), and what to do about it, if known.

    `limit`: the recompile limit was reached, so that further calls run in eager.
    """

    function: str
    reason: str
    path: str | None = None
    line: int | None = None
    advice: str | None = None
    limit: bool = False


@dataclass(frozen=True, slots=True)
class SkippedFrame:
    function: str
    path: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class CudagraphSkip:
    """Code that runs without a CUDA graph, and Inductor's reason."""

    reason: str
    path: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Sync:
    """A line of compiled code's surroundings where the host waits for the device; `op` is its text."""

    path: str
    line: int
    op: str


@dataclass(frozen=True, slots=True)
class TargetReport:
    """What compiling one target showed.

    `graphs` counts captured graphs that hold at least one op (None where a log does not tell), `graph_breaks` how
    often Dynamo reported a break, `ops` the captured operations, all for the target's first call. `sites` are
    distinct places, the most consequential first. `cudagraph_partitions` counts the parts that Inductor cut its
    graphs into on CUDA, 0 where it did not. `notes` are sentences on what the report leaves out. `seconds` is wall
    time, process start included. The first line of `error` says what happened; the rest is the stack it hung in, or
    what a dying process wrote last.
    """

    name: str
    spec: str
    status: Status = Status.OK
    error: str | None = None
    graphs: int | None = 0
    graph_breaks: int = 0
    ops: int = 0
    seconds: float = 0.0
    sites: tuple[Finding, ...] = ()
    recompiles: tuple[Recompile, ...] = ()
    cudagraph_skips: tuple[CudagraphSkip, ...] = ()
    cudagraph_partitions: int = 0
    syncs: tuple[Sync, ...] = ()
    skipped_frames: tuple[SkippedFrame, ...] = ()
    notes: tuple[str, ...] = ()
    verdict: Verdict | None = None
    device: str | None = None

    @property
    def clean(self) -> bool:
        """One or more graphs were captured and nothing broke them."""
        return self.status is Status.OK and not self.sites and bool(self.graphs)


@dataclass(frozen=True, slots=True)
class Counts:
    """One side of a before/after comparison. `recompiles`: None where nothing was compiled."""

    graphs: int
    graph_breaks: int
    sites: int
    recompiles: int | None = None


@dataclass(frozen=True, slots=True)
class Arm:
    """A branch that a fix rewrote and which ways were taken: (condition true, condition false).

    `mutated` says which of them only mutated inputs took, and no call of the target.
    """

    path: str
    line: int
    reached: tuple[bool, ...]
    mutated: tuple[bool, ...] = (False, False)


@dataclass(frozen=True, slots=True)
class Replays:
    """What several rounds of all calls showed under a mode of torch.compile: with CUDA graphs, three replays.

    `difference` is the first one from eager in any round, `failure` what a compiled call raised there. `skips` and
    `syncs` count places: regions without a CUDA graph, and lines where the host waits for the device.
    """

    mode: str
    rounds: int
    max_abs_diff: float | None
    difference: str | None
    failure: str | None
    skips: int
    syncs: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of one target by the four conditions, in a fresh process.

    `eager_identical`: outputs, mutated arguments, module state, RNG state and exceptions are equal bit for bit on
    every call. `compiled_max_abs_diff`: the largest absolute difference between compiled and eager outputs, None
    where nothing could be compared; `within_tolerance` judges it by dtype (docs/verify.md). `new_breaks`: sites
    that the unpatched sources do not have, where a fix put them. `inherited`: the target fails without any fix, too.
    `error` is the first thing that went wrong.
    """

    target: str
    before: Counts
    after: Counts
    eager_identical: bool
    compiled_max_abs_diff: float | None
    within_tolerance: bool
    arms: tuple[Arm, ...]
    seconds: float
    backend: str
    device: str
    new_breaks: tuple[str, ...] = ()
    inherited: bool = False
    error: str | None = None
    replays: Replays | None = None

    @property
    def ok(self) -> bool:
        """All four conditions hold for what was fixed (breaks that nobody fixed may remain)."""
        return (
            self.error is None
            and self.after.graphs > 0
            and not self.new_breaks
            and self.eager_identical
            and self.within_tolerance
        )

    @property
    def one_sided(self) -> tuple[Arm, ...]:
        """Rewritten branches of which neither the target's calls nor mutated inputs took both ways."""
        return tuple(arm for arm in self.arms if not all(arm.reached))


class FixStatus(StrEnum):
    KEPT = "kept"
    REJECTED = "rejected"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class FixRecord:
    """What became of one fix that `apply` tried."""

    rule: str
    path: str
    line: int
    safety: Safety
    status: FixStatus
    reason: str
    diff: str


@dataclass(frozen=True, slots=True)
class Report:
    """Everything one command found out; every output format renders this and nothing else.

    `fixes` is None for commands that fix nothing. `skipped` names files that could not be read, with the reason.
    """

    versions: Mapping[str, str]
    targets: tuple[TargetReport, ...] = ()
    findings: tuple[Finding, ...] = ()
    fixes: tuple[FixRecord, ...] | None = None
    written: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = field(default=())
