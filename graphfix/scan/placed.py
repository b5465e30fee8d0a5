"""A break at its place in the source, and what was seen of it."""

from __future__ import annotations

import ast
import contextlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from graphfix.errors import SourceError
from graphfix.model import HIDDEN, Break, Finding, Frame, Location
from graphfix.registry import repairing
from graphfix.rule import Rule, Site
from graphfix.scan.place import is_library, node_of
from graphfix.scan.process import Event
from graphfix.source.module import Module
from graphfix.source.sources import Sources
from graphfix.source.suppress import is_suppressed


@dataclass
class Placed:
    """A break at its place: the frame, the node where one was found, and how often each step saw it.

    `places` are the ones that Dynamo printed for it, `consequences` the ids it reported only because of this break.
    `called_at` holds file and line of every call that led to the function around it, `callers` the calls on the way to
    its first report, innermost first, `texts` the lines of the files that `called_at` names, `ran` gives the modules
    whose code the calls ran, with the lines.
    """

    event: Event
    frame: Event
    found: tuple[Module, ast.AST] | None
    location: Location
    counts: dict[str, int] = field(default_factory=dict)
    places: set[tuple[object, ...]] = field(default_factory=set)
    consequences: dict[str, None] = field(default_factory=dict)
    called_at: set[tuple[str, int]] = field(default_factory=set)
    callers: tuple[tuple[Module, ast.AST], ...] = ()
    texts: dict[str, list[str]] = field(default_factory=dict)
    ran: Callable[[], Sequence[tuple[Module, frozenset[int]]]] = tuple
    hides_rest: bool = False
    in_loop: bool = False
    graphs: int = 0

    def count(self, event: Event) -> None:
        """One more report of this break."""
        self.counts[event["pass"]] = self.counts.get(event["pass"], 0) + 1
        self.hides_rest |= event["hides_rest"]
        self.consequences |= dict.fromkeys(event["consequences"])
        if event.get("at"):
            self.places.add(tuple(event["at"]))
        if outer := self._outer(event):
            self.called_at.add((outer[-1]["path"], outer[-1]["line"]))

    def _outer(self, event: Event) -> list[Event]:
        """The frames around the one shown, as far as they are the user's."""
        place = (self.frame["path"], self.frame["line"])
        own = [frame for frame in event["stack"] if not is_library(frame["path"])]
        at = [number for number, frame in enumerate(own) if (frame["path"], frame["line"]) == place]
        return own[: at[-1]] if at else []

    def add(self, other: Placed) -> None:
        """Count all that `other` saw to this site."""
        for step, number in other.counts.items():
            self.counts[step] = self.counts.get(step, 0) + number
        self.hides_rest |= other.hides_rest
        self.consequences |= other.consequences
        self.places |= other.places
        self.called_at |= other.called_at

    @property
    def hidden(self) -> bool:
        """Whether only the look behind skipped frames saw it."""
        return set(self.counts) == {HIDDEN}

    @property
    def seen(self) -> int:
        return self.counts.get("explain") or max(n for step, n in self.counts.items() if step != HIDDEN or self.hidden)

    @property
    def rank(self) -> tuple[object, ...]:
        """Orders sites, the most consequential first: what hides others, costs graphs, runs often."""
        return (self.hidden, not self.hides_rest, -self.graphs, not self.in_loop, -self.seen)

    def look_around(self, sources: Sources) -> None:
        """See which calls lead to this break, and whether it or one of them stands in a loop."""
        outer = [node_of(frame, sources) for frame in reversed(self._outer(self.event))]
        inner = [node_of(self.event["stack"][-1], sources)] if self.event["stack"] else []
        self.in_loop = any(module.in_loop(node) for module, node in filter(None, [*outer, *inner, self.found]))
        known = itertools.takewhile(lambda found: found is not None, outer)
        self.callers = tuple(filter(None, known))
        for path, _ in self.called_at:
            with contextlib.suppress(SourceError):
                self.texts[path] = sources.module(path).lines

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
            hidden=self.hidden,
            graphs=self.graphs,
            in_loop=self.in_loop,
            consequences=tuple(self.consequences),
            note=self.frame.get("note"),
        )

    def candidates(self, rules: Sequence[Rule]) -> list[tuple[Rule, Site]]:
        """The rules that may repair this break, the safest first, with the site they get."""
        if self.found is None:
            return []
        break_ = self.break_()
        site = Site(*self.found, break_, callers=self.callers, ran=self.ran)
        return [(rule, site) for rule in repairing(break_, rules)]

    def suppressed(self, rules: Sequence[Rule]) -> bool:
        """Whether a comment silences the break's id, or a rule that may repair it."""
        if self.found is None:
            return False
        names = [(self.event["id"] or "", ""), *((rule.code, rule.name) for rule, _ in self.candidates(rules))]
        return any(is_suppressed(self.found[0], self.location.line, code, name) for code, name in names)

    def finding(self, rules: Sequence[Rule]) -> Finding:
        """The site as a record, with the first rule that has a rewrite for it."""
        fix = next((fix for rule, site in self.candidates(rules) if (fix := rule.fix(site))), None)
        return Finding(
            location=self.location,
            rule=fix.rule if fix else None,
            message=self.event["type"],
            code=self.found[0].line(self.location.line) if self.found else self.frame.get("code", ""),
            break_=self.break_(),
            fix=fix,
        )


def merged(sites: Sequence[Placed]) -> list[Placed]:
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


def _real(event: Event, shown: Event) -> Location | None:
    """Where Dynamo itself says the break is, if that is in other code than the frame shown."""
    last = event["stack"][-1]
    return None if last["path"] == shown["path"] else Location(last["path"], last["line"])
