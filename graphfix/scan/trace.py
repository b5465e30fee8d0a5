"""Reads what a server left behind: a text log of `TORCH_LOGS=graph_breaks`, or the files of TORCH_TRACE.

Of a text log are read, too: the warning "Graph break from `Tensor.item()`" and the exceptions that `fullgraph=True`
raises, which torch prints without `TORCH_LOGS`, recompilations, skipped frames and skipped CUDA graphs.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from graphfix.model import Finding, Status
from graphfix.printed import PrintedFrame
from graphfix.scan.logs import torch_trace
from graphfix.scan.logs.event import LoggedBreak, recompiled, told
from graphfix.scan.logs.file import logs
from graphfix.scan.logs.place import Here
from graphfix.scan.logs.records import records
from graphfix.scan.observation import Observation
from graphfix.scan.process import Ending, Event
from graphfix.source.sources import Sources

_STEP = {"pass": "compile"}


@dataclass(frozen=True, slots=True)
class Reading:
    """What was seen in how many logs."""

    seen: Observation
    logs: int

    def notes(self, sites: Iterable[Finding]) -> tuple[str, ...]:
        """A sentence for each file whose sites are shown as the log has them."""
        frames = (frame for event in self.seen.breaks for frame in event["stack"] if "note" in frame)
        unknown = {(frame["path"], frame["line"]): frame["note"] for frame in frames}
        places = ((site.location.path, site.location.line) for site in sites)
        return tuple(dict.fromkeys(f"{place[0]} {unknown[place]}" for place in places if place in unknown))


def read(path: Path, ids: Mapping[str, str], sources: Sources, scope: Sequence[str] = ()) -> Reading:
    """The log or TORCH_TRACE folder at `path`; `ids` maps a break's type to its registry id.

    The places it names are looked for in `sources`. Raises UsageError where there is nothing to read.
    """
    start = time.monotonic()
    found: list[LoggedBreak | Event] = []
    kinds = []
    for log in logs(path):
        kinds.append(log.structured)
        found += read_trace(log.lines, ids) if log.structured else read_log(log.lines, ids)
    seen = Observation(tuple(scope))
    for event in located(found, sources):
        seen.add(event)
    if not any(kinds):
        seen.add({"event": "no_graphs"})  # text logs do not tell how many there were
    seen.ending = Ending(Status.OK, None, time.monotonic() - start)
    return Reading(seen, len(kinds))


def read_log(lines: Iterable[str], ids: Mapping[str, str]) -> Iterator[LoggedBreak | Event]:
    """All that a text log tells of."""
    for record in records(lines):
        if (found := told(record, ids)) is not None:
            yield found


def read_trace(lines: Iterable[str], ids: Mapping[str, str]) -> Iterator[LoggedBreak | Event]:
    """All that a file of TORCH_TRACE tells of."""
    strings: dict[int, str] = {}
    functions: dict[int | None, dict[str, Any]] = {}
    guards: dict[object, Event] = {}
    broken: dict[object, LoggedBreak] = {}
    for entry in torch_trace.entries(lines):
        if entry.name == torch_trace.STRING:
            strings[entry.about[1]] = entry.about[0]
        elif entry.name in (torch_trace.BREAK, torch_trace.ERROR):
            if found := _break_in(entry.payload, ids):
                broken[entry.compilation] = found
                yield found
        elif entry.name == torch_trace.RECOMPILE and (reasons := torch_trace.reasons(entry.payload)):
            guards[entry.compilation] = recompiled(guard=reasons[0], **functions.get(entry.frame, {}))
        elif entry.name == torch_trace.START:
            functions[entry.frame] = torch_trace.started(entry, strings)
            if again := guards.pop(entry.compilation, None):
                yield {**again, **functions[entry.frame]}
        elif entry.name == torch_trace.GRAPH:
            ended_by = broken.pop(entry.compilation, None)
            ops = torch_trace.count_ops(entry.payload)
            yield {"event": "graph", "ops": ops, "ended_by": _at(ended_by.stack) if ended_by else None, **_STEP}
        elif entry.name == torch_trace.END and (again := guards.pop(entry.compilation, None)):
            yield {**again, "limit": True}  # it ended without a start
    yield from guards.values()


def _break_in(payload: str, ids: Mapping[str, str]) -> LoggedBreak | None:
    """The break that an entry prints as a log does; the traceback below it tells of the same."""
    return next((found for found in read_log(payload.splitlines(), ids) if isinstance(found, LoggedBreak)), None)


def located(found: Sequence[LoggedBreak | Event], sources: Sources) -> Iterator[Event]:
    """The events, each break once for each time it was reported, its frames placed in `sources`."""
    here = Here(sources)
    reported = {one.place for one in found if isinstance(one, LoggedBreak) and not one.echo}
    stacks: dict[object, tuple[PrintedFrame, ...]] = {}
    for one in found:
        if isinstance(one, LoggedBreak) and one.stack[-1].code is not None:
            stacks.setdefault(one.place[1:], one.stack)
    for one in found:
        if not isinstance(one, LoggedBreak):
            yield one
        elif not one.echo or one.place not in reported:
            reported.add(one.place)
            yield _event(one, here, stacks)


def _event(found: LoggedBreak, here: Here, stacks: Mapping[object, tuple[PrintedFrame, ...]]) -> Event:
    first, *nested = found.messages
    return {
        "event": "break",
        **_STEP,
        "id": first.id,
        "type": first.type,
        "explanation": first.explanation,
        "hints": first.hints,
        "consequences": [message.id or message.type for message in nested],
        "hides_rest": found.hides_rest,
        "stack": _stack(found, here, stacks),
        "at": _at(found.stack),
    }


def _stack(found: LoggedBreak, here: Here, stacks: Mapping[object, tuple[PrintedFrame, ...]]) -> list[dict[str, Any]]:
    """The stack as placed frames; of a repeated break that prints none, the one printed for the same line.

    Its carets count where what they mark fits this break, too: two may stand on one line.
    """
    known = stacks.get(found.place[1:]) if found.stack[-1].code is None else None
    if known is None:
        return here.stack(found.stack, found.about)
    placed = here.stack(known, found.about)
    if placed[-1]["column"] is not None:
        return placed
    return here.stack([*known[:-1], replace(known[-1], start=None, end=None)], found.about)


def _at(stack: Sequence[PrintedFrame]) -> list[Any]:
    """The place that torch prints, by which graphs and the breaks that end them find each other."""
    return [stack[-1].path, stack[-1].line, stack[-1].start]
