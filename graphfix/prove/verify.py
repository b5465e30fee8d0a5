"""Judges a target by the four conditions, and one fix by what it changed."""

from __future__ import annotations

import difflib
import importlib.util
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from graphfix.errors import SourceError
from graphfix.message import OTHER_RANDOM_NUMBERS
from graphfix.model import Arm, Counts, Location, Replays, Status, Target, Verdict
from graphfix.scan.dynamic import Options, Progress, make_job, observe
from graphfix.scan.observation import Observation
from graphfix.scan.placed import Placed
from graphfix.source.sources import Sources

Tell = Callable[[str], None]

_DISABLED = frozenset({"GB0098", "GB0099"})
"""Ids of calls to what `torch.compiler.disable` took out."""

REPLAY_MODE = "reduce-overhead"
"""Inductor with CUDA graphs."""

IN_GRAPH = "(in the compiled graph)"
"""Ends the text of a wait that compiled code itself makes (see graphfix.dynamo.cuda)."""

STEP_BACKEND = "aot_eager"
"""Judges single fixes: it traces as Inductor does and needs no compiler. The last verdict is the user's backend's."""


def default_backend() -> str:
    """Inductor where there is a C++ compiler for it (CUDA needs one too), else aot_eager.

    Inductor cannot link where the path to torch holds a space (seen on 2.13): aot_eager there as well.
    """
    spec = importlib.util.find_spec("torch")
    linkable = spec is None or spec.origin is None or " " not in spec.origin
    compiler = any(shutil.which(name) for name in ("g++", "clang++", "c++", "cl"))
    return "inductor" if compiler and linkable else STEP_BACKEND


@dataclass(frozen=True)
class Reference:
    """What the original sources did: their observation, and the file that holds the eager results."""

    observation: Observation
    results: Path


@contextmanager
def reference(target: Target, options: Options, tell: Tell, compile: Sequence[str] = ()) -> Iterator[Reference]:
    """Run the target's original sources once; the results live as long as the block.

    What they are compiled with (`compile`) tells how often they are compiled again.
    """
    with tempfile.TemporaryDirectory(prefix="graphfix-") as folder:
        results = Path(folder) / "eager.pt"
        job = make_job(target, options, explain=True, check=True, save=str(results), trace=True, compile=compile)
        yield Reference(observe([job], options, tell), results)


def run_patched(
    target: Target,
    sources: Sources,
    against: Reference,
    backend: str,
    options: Options,
    tell: Tell,
    replay: Mapping[str, object] | None = None,
) -> Observation:
    """Run the target on patched sources in a fresh process: explain, eager against the reference, compiled.

    `replay` asks for rounds of compiled calls after that, see graphfix.dynamo.replays.
    """
    job = make_job(
        target,
        options,
        overlay=sources.patched,
        explain=True,
        check=True,
        against=str(against.results),
        compile=[backend],
        trace=True,
        replay=replay,
    )
    return observe([job], options, tell)


def verdict(
    target: Target,
    before: Observation,
    after: Observation,
    sources: Sources,
    backend: str,
    options: Options,
    arms: Sequence[Arm] = (),
    draws_less: bool = False,
    step: bool = False,
    moves: bool = False,
    known: Sequence[Placed] = (),
) -> Verdict:
    """The four conditions, from the two runs. `new_breaks` are sites where `sources` differ from the files.

    Those are left out that were there before: in the files, or among the sites that are `known`.

    `draws_less`: an unsafe fix that the user allowed draws no random numbers where compiled code did. `step`: further
    fixes may follow, so where breaks keep Dynamo from compiling anything, as before, that does not count yet, nor that
    the parts of a broken function are compiled more often. `moves`: the step only moves a break on, so the same holds.
    """
    eager, compiled = after.facts.get("eager"), after.facts.get("compiled")
    differs = (eager and eager["difference"]) or (compiled and compiled["difference"])
    sites = after.sites(sources, options.rules)
    known = [*before.sites(Sources(), options.rules), *known]
    keys = set(map(key, known))
    new = [
        s
        for s in sites
        if _is_patched(s, sources) and key(s) not in keys and not any(fewer_callers(was, s, sources) for was in known)
    ]
    error = before.error or after.error or (differs and str(differs)) or None
    if error is None and after.graphs == 0 and not (step and sites and (moves or before.graphs == 0)):
        error = "no graph was captured, so nothing is compiled"
    unsettled = moves or (step and bool(sites))
    error = (
        error or (None if unsettled else _recompiled_more(before, after)) or _differs_beside(before, after, draws_less)
    )
    replays = _replays(after)
    if error is None and replays is not None:
        error = _replay_failure(replays, after, bool(sites))
    return Verdict(
        target=target.name,
        before=_counts(before, Sources(), options),
        after=_counts(after, sources, options),
        eager_identical=bool(eager and eager["identical"]),
        compiled_max_abs_diff=compiled["max_abs_diff"] if compiled else None,
        within_tolerance=bool(compiled and compiled["difference"] is None),
        arms=tuple(arms),
        seconds=round(before.ending.seconds + after.ending.seconds, 3),
        backend=backend,
        device=after.facts["versions"]["device"] if "versions" in after.facts else "unknown",
        new_breaks=tuple(map(_describe, new)),
        error=error,
        replays=replays,
    )


def _replays(after: Observation) -> Replays | None:
    found = after.facts.get("replays")
    if found is None:
        return None
    return Replays(
        mode=found["mode"],
        rounds=found["rounds"],
        max_abs_diff=found["max_abs_diff"],
        difference=found["difference"],
        failure=found["failure"],
        skips=len(set(after.cudagraph_skips)),
        syncs=len(set(after.syncs)),
    )


def _replay_failure(replays: Replays, after: Observation, broken: bool) -> str | None:
    """What goes wrong when the compiled code runs again and again. Where breaks remain, the host waits there."""
    if replays.failure or replays.difference:
        return f"under {replays.mode}, {replays.failure or replays.difference}"
    if after.cudagraph_skips:
        skip = after.cudagraph_skips[0]
        return f"a region runs without a CUDA graph: {skip.reason}{_at(skip.path, skip.line)}"
    inside = [sync for sync in after.syncs if not broken or sync.op.endswith(IN_GRAPH)]
    if inside:
        return f"the host waits for the device inside the region: {inside[0].op}{_at(inside[0].path, inside[0].line)}"
    return None


def _at(path: str | None, line: int | None) -> str:
    return f" (at {path}:{line})" if path else ""


def _recompiled_more(before: Observation, after: Observation) -> str | None:
    """A sentence where there are more recompiles than before, and some function has more than before, and more than
    one: what was not compiled before may be so for a first kind of call, and once more for all others.

    Where nothing was compiled before, each later call may be a new kind that is compiled once. Where the compiler
    failed, there is nothing to compare with.
    """
    failed = any(event["id"] is None and event["pass"] == "compile" for event in before.breaks)
    if failed or "compiled" not in before.facts or "compiled" not in after.facts:
        return None
    was, now = (Counter(map(_compiled_part, seen.recompiles)) for seen in (before, after))
    allowed = 1 if before.graphs else int(after.facts["compiled"]["calls"]) - 1
    if now.total() <= was.total() or all(count <= max(was[part], allowed) for part, count in now.items()):
        return None
    return f"recompiles rise from {was.total()} to {now.total()}"


def _compiled_part(recompile: Mapping[str, Any]) -> tuple[Any, ...]:
    """The function, or the part of one behind a break, that a recompilation is of."""
    return (recompile["path"], recompile["function"], recompile["line"])


def _differs_beside(before: Observation, after: Observation, draws_less: bool) -> str | None:
    """What compiled code changes beside values, where the original's compiled code did not."""
    was, now = (seen.facts.get("compiled", {}).get("beside") for seen in (before, after))
    if draws_less and str(now).endswith(OTHER_RANDOM_NUMBERS):
        return None
    return str(now) if now and not was else None


def _counts(seen: Observation, sources: Sources, options: Options) -> Counts:
    recompiles = len(seen.recompiles) if "compiled" in seen.facts else None
    return Counts(seen.graphs, len(seen.causes("explain")), len(seen.sites(sources, options.rules)), recompiles)


def objection(
    trial: Verdict,
    site: Placed,
    before: Sequence[Placed],
    after: Sequence[Placed],
    sources: Sources,
    moves: bool = False,
) -> str | None:
    """Why a fix must not be kept, None where it may: its site is gone, and all the conditions hold.

    `before` are the sites without the fix, `after` those in the patched `sources`. `moves`: new ones will be repaired.
    """
    known = set(map(key, before))
    if trial.error is not None:
        return trial.error
    line = _line_now(site, sources)
    same = [
        other
        for other in after
        if key(other) == key(site) and (_is_patched(other, sources) if line is None else other.location.line == line)
    ]
    if any(not fewer_callers(site, other, sources) for other in same):
        return "the break is still there"
    if trial.new_breaks and not moves:
        return f"the rewritten code breaks too: {trial.new_breaks[0]}"
    disabled = [other for other in after if other.event["id"] in _DISABLED and key(other) not in known]
    if disabled:
        return f"a part is not compiled any more: {_describe(disabled[0])}"
    if not trial.eager_identical:
        return "eager results were not compared"
    return None if trial.within_tolerance else "compiled results were not compared"


def key(site: Placed) -> tuple[str, str, str, str]:
    """What stays the same of a site when lines move: file, function, the marked text, the break's id."""
    module, node = site.found if site.found else (None, None)
    text = module.segment(node) if module and node is not None else str(site.location.line)
    function = module.qualname(site.location.line) if module else site.frame["function"]
    return (site.location.path, function, text, site.event["id"] or site.event["type"])


def fewer_callers(was: Placed, now: Placed, sources: Sources) -> bool:
    """Whether `now` is the site `was` in the patched `sources`, and only some of the calls still lead to it."""
    if key(was) != key(now) or not now.called_at:
        return False
    kept = {
        (path, now_at)
        for path, line in was.called_at
        if (now_at := _moved(line, was.texts.get(path, []), _lines(path, sources))) is not None
    }
    return now.called_at <= kept and len(now.called_at) < len(was.called_at)


def _line_now(site: Placed, sources: Sources) -> int | None:
    """The line of `sources` that the site's line has become, None where the patch rewrote it."""
    was = site.found[0].lines if site.found else []
    return _moved(site.location.line, was, _lines(site.location.path, sources))


def line_now(place: Location, was: Sources, now: Sources) -> int | None:
    """The line of `now` that a place in `was` has become, None where it was rewritten."""
    return _moved(place.line, _lines(place.path, was), _lines(place.path, now))


def _moved(line: int, was: list[str], now: list[str]) -> int | None:
    for tag, a, b, c, _ in _blocks(was, now):
        if tag == "equal" and a < line <= b:
            return line - a + c
    return None


def _is_patched(site: Placed, sources: Sources) -> bool:
    """Whether the site stands on a line that the patch wrote."""
    path = site.location.path
    blocks = _blocks(_lines(path, Sources()), _lines(path, sources))
    return any(tag != "equal" and c < site.location.line <= d for tag, _, _, c, d in blocks)


def _blocks(was: list[str], now: list[str]) -> Sequence[tuple[str, int, int, int, int]]:
    if was == now:
        return [("equal", 0, len(was), 0, len(now))]
    return difflib.SequenceMatcher(None, was, now, autojunk=False).get_opcodes()


def _lines(path: str, sources: Sources) -> list[str]:
    try:
        return sources.module(path).lines
    except SourceError:  # code that was never a file
        return []


def _describe(site: Placed) -> str:
    return f"{site.location.path}:{site.location.line} {site.event['id'] or ''} {site.event['type']}"


def judge(
    target: Target, patched: Sources, backend: str, options: Options, progress: Progress, mode: str | None = None
) -> tuple[Observation, Verdict]:
    """Judge the target on `patched` sources (none: the files as they are) against the files, in fresh processes.

    With a `mode`, or on CUDA under Inductor with reduce-overhead, compiled code must hold for several rounds as well.
    """
    tell = partial(progress, target.name)
    replay = {"backend": backend, "mode": mode or REPLAY_MODE, "everywhere": mode is not None}
    wanted = replay if mode is not None or backend == "inductor" else None
    with reference(target, options, tell) as original:
        after = original.observation
        if after.status is Status.OK:
            after = run_patched(target, patched, original, backend, options, tell, wanted)
        return after, verdict(target, original.observation, after, patched, backend, options)
