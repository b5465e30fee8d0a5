"""What one worker job showed: its events, and the sites and the report made of them."""

from __future__ import annotations

import contextlib
import functools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from graphfix.errors import SourceError
from graphfix.message import BLAMES_EARLIER, CONSEQUENCES, CUT_IN_TWO
from graphfix.model import (
    HIDDEN,
    HOST_COPY,
    RECOMPILED,
    CudagraphSkip,
    Recompile,
    SkippedFrame,
    Status,
    Sync,
    Target,
    TargetReport,
)
from graphfix.rule import Rule
from graphfix.scan.advice import advice
from graphfix.scan.place import is_library, location_of, narrowed, node_of, user_frame
from graphfix.scan.placed import Placed, merged
from graphfix.scan.process import Ending, Event
from graphfix.source.module import Module
from graphfix.source.paths import package_of
from graphfix.source.sources import Sources


@dataclass
class Observation:
    """The events of one job, gathered as they come."""

    scope: tuple[str, ...] = ()
    ending: Ending = field(default_factory=lambda: Ending(Status.OK, None, 0.0))
    breaks: list[Event] = field(default_factory=list)
    facts: dict[str, Event] = field(default_factory=dict)
    captured: list[Event] = field(default_factory=list)
    recompiles: list[Event] = field(default_factory=list)
    host_copies: list[Event] = field(default_factory=list)
    skipped: list[Event] = field(default_factory=list)
    cudagraph_skips: list[CudagraphSkip] = field(default_factory=list)
    syncs: list[Sync] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    arcs: dict[str, set[tuple[int, int]]] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        kind = event["event"]
        if kind == "break":
            self.breaks.append(event)
        elif kind == "graph":
            self.captured.append(event)
        elif kind == "recompile":
            self.recompiles.append(event)
        elif kind == "host_copy":
            self.host_copies.append(event)
        elif kind == "skipped_frame":
            self.skipped.append(event)
        elif kind == "cudagraph_skip":
            self.cudagraph_skips.append(CudagraphSkip(event["reason"], event["path"], event["line"]))
        elif kind == "sync":
            self.syncs.append(Sync(event["path"], event["line"], event["op"]))
        elif kind == "warning":
            self.warnings.append(event["text"])
        elif kind == "arcs":
            self.arcs[event["path"]] = {(a, b) for a, b in event["arcs"]}
        else:
            self.facts[kind] = event

    @property
    def status(self) -> Status:
        if self.ending.status is Status.OK and "error" in self.facts:
            return Status.ERROR
        return self.ending.status

    @property
    def error(self) -> str | None:
        """What ended the job early: the process's end, or the exception with the user's line it came from."""
        failure = self.facts.get("error")
        return self.ending.error or (_describe_error(failure) if failure else None)

    def _graphs(self) -> list[Event]:
        """The graphs with at least one op, of the first call where it was explained, else of all calls."""
        step = "explain" if "explained" in self.facts else "compile"
        return [graph for graph in self.captured if graph["ops"] and graph["pass"] == step]

    @property
    def graphs(self) -> int:
        """Graphs with at least one op, for the first call where it was explained, else for all calls."""
        return len(self._graphs())

    def _scope(self) -> tuple[str, ...]:
        """The folders whose code the user looks at: those named, else the package that the target's callable is in."""
        if self.scope:
            return self.scope
        package = package_of(self.facts["entry"]["path"]) if "entry" in self.facts else None
        return (package,) if package else ()

    def causes(self, step: str | None = None) -> list[Event]:
        """The breaks of one step or of all, those that are mere consequences of an earlier one counted to that one."""
        found: list[dict[str, Any]] = []
        for event in self.breaks:
            if step not in (None, event["pass"]):
                continue
            if _is_consequence(event) and (cause := _cause(event, found)) is not None:
                cause["consequences"] = [*cause["consequences"], event["id"] or event["type"], *event["consequences"]]
                cause["hides_rest"] |= event["hides_rest"]
            else:
                found.append(dict(event))
        return list(found)

    def sites(self, sources: Sources, rules: Sequence[Rule]) -> list[Placed]:
        """The distinct places, the most consequential first."""
        placed: dict[object, Placed] = {}
        by_real: dict[object, Placed] = {}
        roots = self._scope()
        for event in sorted(self.causes(), key=lambda event: (event["pass"] == HIDDEN, -len(event["stack"]))):
            frame, inside = user_frame(event["stack"], sources, roots)
            real = (event["id"] or event["type"], *_place(event["stack"][-1])) if event["stack"] else None
            if frame is None or (not inside and real in by_real):
                if real in by_real:  # the same break, reported again for an inner frame alone
                    by_real[real].count(event)
                continue
            found = narrowed(node_of(frame, sources), event["explanation"])
            location = location_of(frame, found)
            key = (location, event["id"] or event["type"])
            site = placed.setdefault(key, Placed(event, frame, found, location))
            site.count(event)
            by_real.setdefault(real, site)
        kept = [site for site in merged(list(placed.values())) if not site.suppressed(rules)]
        users = [site for site in kept if not is_library(site.frame["path"])]
        kept = users or kept  # a library's own functions are compiled by themselves once a break lets them run
        ended = Counter(tuple(graph["ended_by"]) for graph in self._graphs() if graph.get("ended_by"))
        for site in kept:
            site.graphs = sum(ended[place] for place in site.places)
            site.look_around(sources)
            site.ran = functools.partial(self._ran, sources)
        return sorted(kept, key=lambda site: site.rank)

    def recompiled(self, sources: Sources, rules: Sequence[Rule]) -> list[Placed]:
        """The places for whose values a function was compiled again: the line of the guard that failed, or the function
        where torch names none. They are no breaks and count as none."""
        placed: dict[object, Placed] = {}
        for event in self.recompiles:
            path, line = event.get("at") or (event["path"], event["line"])
            if not path or not line or is_library(path):
                continue
            frame = {"path": path, "line": line, "function": event["function"], "column": None}
            frame |= {"end_line": None, "end_column": None}
            more = {"id": RECOMPILED, "type": "Recompile", "explanation": event["detail"], "stack": [frame]}
            if (site := self._beside({**event, **more, "pass": "compile"}, frame, sources, rules)) is not None:
                placed.setdefault((site.location, event["reason"]), site)
        return list(placed.values())

    def copied(self, sources: Sources, rules: Sequence[Rule]) -> list[Placed]:
        """The places where compiled code copies a tensor from the host to the device. They count as no breaks."""
        placed: dict[object, Placed] = {}
        for event in self.host_copies:
            frame, _ = user_frame(event["stack"], sources, self._scope())
            more = {"id": HOST_COPY, "type": "Copy from the host", "explanation": ""}
            if frame is not None and (site := self._beside({**event, **more}, frame, sources, rules)) is not None:
                site.look_around(sources)
                placed.setdefault((site.location.path, site.location.line), site)
        return list(placed.values())

    def _beside(self, event: Event, frame: Event, sources: Sources, rules: Sequence[Rule]) -> Placed | None:
        """The place of something that is no break; None where the source is not here, or a comment silences it."""
        event = {"hints": [], "hides_rest": False, "consequences": [], **event}
        found = node_of(frame, sources)
        site = Placed(event, frame, found, location_of(frame, found))
        site.ran = functools.partial(self._ran, sources)
        site.count(event)
        return None if found is None or site.suppressed(rules) else site

    def _ran(self, sources: Sources) -> list[tuple[Module, frozenset[int]]]:
        """The modules whose code ran, with the lines."""
        found = []
        for path, arcs in self.arcs.items():
            with contextlib.suppress(SourceError):
                found.append((sources.module(path), frozenset(line for arc in arcs for line in arc)))
        return found

    def report(self, target: Target, sources: Sources, rules: Sequence[Rule]) -> TargetReport:
        """All of it as a record."""
        return TargetReport(
            name=target.name,
            spec=target.spec,
            status=self.status,
            error=self.error,
            graphs=None if "no_graphs" in self.facts else self.graphs,
            graph_breaks=len(self.causes("explain")) or len(self.causes()),
            ops=sum(graph["ops"] for graph in self._graphs()),
            seconds=round(self.ending.seconds, 3),
            device=self.facts["versions"]["device"] if "versions" in self.facts else None,
            sites=tuple(site.finding(rules) for site in self.sites(sources, rules)),
            recompiles=tuple(dict.fromkeys(map(_recompile, self.recompiles))),
            cudagraph_skips=tuple(dict.fromkeys(self.cudagraph_skips)),
            cudagraph_partitions=int(self.facts.get("cudagraph_partitions", {"count": 0})["count"]),
            syncs=tuple(dict.fromkeys(self.syncs)),
            skipped_frames=self._skipped_frames(),
            notes=self._notes(),
        )

    def _notes(self) -> tuple[str, ...]:
        notes = dict.fromkeys(self.warnings)
        if "discovery_cut" in self.facts:
            seconds = self.facts["discovery_cut"]["seconds"]
            notes[f"the look behind skipped frames was ended after {seconds:.0f} s; more may be hidden there"] = None
        return tuple(notes)

    def _skipped_frames(self) -> tuple[SkippedFrame, ...]:
        """The frames that Dynamo skipped and that no reported break accounts for."""
        told = {_function(frame) for event in self.breaks if event["hides_rest"] for frame in event["stack"]}
        return tuple(
            dict.fromkeys(
                SkippedFrame(e["function"], e["path"], e["line"], e["reason"])
                for e in self.skipped
                if not is_library(e["path"]) and _function(e) not in told
            )
        )


def _is_consequence(event: Event) -> bool:
    blames = CUT_IN_TWO in event["explanation"] or any(BLAMES_EARLIER in hint for hint in event["hints"])
    return blames or event["id"] in CONSEQUENCES


def _cause(event: Event, earlier: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The latest earlier break of the same step with a frame in the same function."""
    functions = set(map(_function, event["stack"]))
    same = (other for other in reversed(earlier) if other["pass"] == event["pass"])
    return next((other for other in same if functions & set(map(_function, other["stack"]))), None)


def _function(frame: Event) -> tuple[str, str]:
    """The function of a frame; what Dynamo made to resume it counts as the function itself."""
    name = re.sub(r"^torch_dynamo_resume_in_(.*)_at_\d+$", r"\1", frame["function"])
    return (frame["path"], name)


def _recompile(event: Event) -> Recompile:
    name, path, line = _function({"function": "?", "path": "", **event})[1], event.get("path"), event.get("line")
    reason = event["reason"]
    return Recompile(name, reason, path, line, advice(reason), event.get("limit", False))


def _describe_error(failure: Event) -> str:
    if failure["kind"] == "NotATarget" or failure["stage"] == "importing torch":
        return str(failure["text"])
    text = f"{failure['kind']}: {failure['text']}" if failure["text"] else failure["kind"]
    own = [
        (path, line, name)
        for path, line, name in failure["frames"]
        if not is_library(path) and "graphfix/dynamo" not in path
    ]
    where = f" (at {own[-1][0]}:{own[-1][1]} in {own[-1][2]})" if own else ""
    return f"{text} while {failure['stage']}{where}"


def _place(frame: Event) -> tuple[str, int, int | None, int | None]:
    return (frame["path"], frame["line"], frame["column"], frame["end_column"])
