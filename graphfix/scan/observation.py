"""What one worker job showed: its events, and the sites and the report made of them."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field

from graphfix.message import CONSEQUENCES
from graphfix.model import Break, Finding, Frame, Location, Recompile, SkippedFrame, Status, Target, TargetReport
from graphfix.registry import repairing
from graphfix.rule import Rule, Site
from graphfix.scan.place import is_library, location_of, node_of, user_frame
from graphfix.scan.process import Ending, Event
from graphfix.source.module import Module
from graphfix.source.paths import package_of
from graphfix.source.sources import Sources
from graphfix.source.suppress import is_suppressed


@dataclass
class Observation:
    """The events of one job, gathered as they come."""

    scope: tuple[str, ...] = ()
    ending: Ending = field(default_factory=lambda: Ending(Status.OK, None, 0.0))
    breaks: list[Event] = field(default_factory=list)
    facts: dict[str, Event] = field(default_factory=dict)
    recompiles: list[Event] = field(default_factory=list)
    skipped: list[Event] = field(default_factory=list)
    arcs: dict[str, set[tuple[int, int]]] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        kind = event["event"]
        if kind == "break":
            self.breaks.append(event)
        elif kind == "recompile":
            self.recompiles.append(event)
        elif kind == "skipped_frame":
            self.skipped.append(event)
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

    @property
    def graphs(self) -> int:
        """Graphs with at least one op, for the first call where it was explained, else for all calls."""
        for kind in ("graphs", "compiled_graphs"):
            if kind in self.facts:
                return int(self.facts[kind]["graphs"])
        return 0

    def _scope(self) -> tuple[str, ...]:
        """The folders whose code the user looks at: those named, else the package that the target's callable is in."""
        if self.scope:
            return self.scope
        package = package_of(self.facts["entry"]["path"]) if "entry" in self.facts else None
        return (package,) if package else ()

    def causes(self, step: str | None = None) -> list[Event]:
        """The breaks that are no mere consequence of another one, of one step or of all."""
        own = [event for event in self.breaks if step in (None, event["pass"])]
        found = [event for event in own if event["id"] not in CONSEQUENCES]
        return found or own

    def sites(self, sources: Sources, rules: Sequence[Rule]) -> list[Placed]:
        """The distinct places, the most consequential first: those that hide others, then the most seen."""
        placed: dict[object, Placed] = {}
        by_real: dict[object, Placed] = {}
        roots = self._scope()
        for event in sorted(self.causes(), key=lambda event: -len(event["stack"])):
            frame, inside = user_frame(event["stack"], sources, roots)
            real = (event["id"] or event["type"], *_place(event["stack"][-1])) if event["stack"] else None
            if frame is None or (not inside and real in by_real):
                if real in by_real:  # the same break, reported again for an inner frame alone
                    by_real[real].count(event)
                continue
            found = node_of(frame, sources)
            location = location_of(frame, found)
            key = (location, event["id"] or event["type"])
            site = placed.setdefault(key, Placed(event, frame, found, location))
            site.count(event)
            by_real.setdefault(real, site)
        ordered = sorted(_merged(list(placed.values())), key=lambda site: (not site.hides_rest, -site.seen))
        return [site for site in ordered if not site.suppressed(rules)]

    def report(self, target: Target, sources: Sources, rules: Sequence[Rule]) -> TargetReport:
        """All of it as a record."""
        return TargetReport(
            name=target.name,
            spec=target.spec,
            status=self.status,
            error=self.error,
            graphs=self.graphs,
            graph_breaks=len(self.causes("explain")) or len(self.causes()),
            ops=int(self.facts["graphs"]["ops"]) if "graphs" in self.facts else 0,
            seconds=round(self.ending.seconds, 3),
            device=self.facts["versions"]["device"] if "versions" in self.facts else None,
            sites=tuple(site.finding(rules) for site in self.sites(sources, rules)),
            recompiles=tuple(Recompile(e["function"], e["reason"]) for e in self.recompiles),
            skipped_frames=tuple(
                dict.fromkeys(
                    SkippedFrame(e["function"], e["path"], e["line"], e["reason"])
                    for e in self.skipped
                    if not is_library(e["path"])
                )
            ),
        )


@dataclass
class Placed:
    """A break at its place: the frame, the node where one was found, and how often each step saw it."""

    event: Event
    frame: Event
    found: tuple[Module, ast.AST] | None
    location: Location
    counts: dict[str, int] = field(default_factory=dict)
    hides_rest: bool = False

    def count(self, event: Event) -> None:
        self.counts[event["pass"]] = self.counts.get(event["pass"], 0) + 1
        self.hides_rest |= event["hides_rest"]

    def add(self, other: Placed) -> None:
        """Count all that `other` saw to this site."""
        for step, number in other.counts.items():
            self.counts[step] = self.counts.get(step, 0) + number
        self.hides_rest |= other.hides_rest

    @property
    def seen(self) -> int:
        return self.counts.get("explain") or max(self.counts.values())

    def break_(self) -> Break:
        event = self.event
        module = self.found[0] if self.found else None
        return Break(
            id=event["id"],
            type=event["type"],
            explanation=event["explanation"],
            hints=tuple(event["hints"]),
            location=self.location,
            function=module.qualname(self.frame["line"]) if module else self.frame["function"],
            real=_real(event, self.frame),
            stack=tuple(Frame(f["path"], f["line"], f["function"]) for f in event["stack"]),
            seen=self.seen,
            hides_rest=self.hides_rest,
            consequences=tuple(event["consequences"]),
        )

    def candidates(self, rules: Sequence[Rule]) -> list[tuple[Rule, Site]]:
        """The rules that may repair this break, the safest first, with the site they get."""
        if self.found is None:
            return []
        break_ = self.break_()
        site = Site(*self.found, break_)
        return [(rule, site) for rule in repairing(break_, rules)]

    def suppressed(self, rules: Sequence[Rule]) -> bool:
        if self.found is None:
            return False
        names = [(rule.code, rule.name) for rule, _ in self.candidates(rules)] or [(self.event["id"] or "", "")]
        return any(is_suppressed(self.found[0], self.location.line, code, name) for code, name in names)

    def finding(self, rules: Sequence[Rule]) -> Finding:
        """The site as a record, with the first rule that has a rewrite for it."""
        fix = next((fix for rule, site in self.candidates(rules) if (fix := rule.fix(site))), None)
        return Finding(
            location=self.location,
            rule=fix.rule if fix else None,
            message=self.event["type"],
            code=self.found[0].line(self.location.line) if self.found else "",
            break_=self.break_(),
            fix=fix,
        )


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


def _merged(sites: Sequence[Placed]) -> list[Placed]:
    """The sites, those without columns counted to the one on their line that has some (torch 2.11 gives both)."""
    exact: dict[object, Placed] = {}
    for site in sites:
        if site.location.column is not None:
            exact.setdefault((site.location.path, site.location.line, site.event["id"]), site)
    kept = []
    for site in sites:
        twin = exact.get((site.location.path, site.location.line, site.event["id"]))
        if site.location.column is None and twin is not None:
            twin.add(site)
        else:
            kept.append(site)
    return kept


def _place(frame: Event) -> tuple[str, int, int | None, int | None]:
    return (frame["path"], frame["line"], frame["column"], frame["end_column"])


def _real(event: Event, shown: Event) -> Location | None:
    """Where Dynamo itself says the break is, if that is in other code than the frame shown."""
    last = event["stack"][-1]
    return None if last["path"] == shown["path"] else Location(last["path"], last["line"])
