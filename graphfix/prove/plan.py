"""Finds which parts of a target to compile, and proves the choice by running it."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphfix.measured import Candidate, Launches, Region, TargetPlan, Wait
from graphfix.model import Status, Target
from graphfix.scan.dynamic import Options, make_job, observe
from graphfix.scan.observation import Observation
from graphfix.scan.process import Event

Tell = Callable[[str], None]

LEAST_GAIN = 1.03
MOST_TRIES = 12
_CAPTURING = "capturing "


@dataclass(frozen=True)
class Wanted:
    """`mode` of torch.compile for the regions; `nested`: compile repeated blocks once where that is seen to work.

    A region that is not `least_gain` times faster is left in eager.
    """

    mode: str
    rounds: int
    nested: bool
    least_gain: float = LEAST_GAIN


@dataclass
class Search:
    """A search for a plan, and what its tries taught so far."""

    target: Target
    sources: Mapping[str, str]
    wanted: Wanted
    options: Options
    tell: Tell
    avoid: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)
    sound: set[str] = field(default_factory=set)
    hard: set[str] = field(default_factory=set)
    """Failures that compiling a block once has no part in."""
    known: dict[str, dict[str, Any]] = field(default_factory=dict)
    modes: dict[str, str] = field(default_factory=dict)
    plain: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    looked: tuple[Observation, list[Candidate]] | None = None

    def run(self) -> TargetPlan:
        done = TargetPlan(self.target.name, self.target.spec, error="no choice of regions worked")
        for number in range(MOST_TRIES):
            if (failed := self.look()) is not None:
                return failed
            if self.looked is None:
                continue
            regions = self._regions()
            if not regions:
                return self._plan()
            chosen = self._doubtful(regions)
            self.tell(f"try {number + 1}: {', '.join(each['name'] for each in chosen)}")
            found, again = self._try(chosen)
            if len(chosen) == len(regions):
                done = found
                if not again:
                    return done
            elif not again:
                self._settle(chosen, found)
        return done

    def _doubtful(self, regions: Sequence[Event]) -> Sequence[Event]:
        """Those to try by themselves, once a region failed: the others ran beside it. All, where none is in doubt."""
        doubtful = [each for each in regions if each["name"] not in self.sound]
        return doubtful if self.sound and doubtful else regions

    def _settle(self, regions: Sequence[Event], found: TargetPlan) -> None:
        """Trust regions that were tried by themselves, or do without them."""
        names = [each["name"] for each in regions]
        if why := found.error or found.difference:
            self.dropped.update(names)
            self._note(*(f"{name} is left in eager: {_first_line(why)}" for name in names))
        else:
            self.sound.update(names)

    def look(self) -> TargetPlan | None:
        """Search for regions, unless that was done; a plan with an error where the target cannot be run."""
        if self.looked is not None:
            return None
        candidates: list[Candidate] = []
        stage = [""]

        def also(event: Event) -> None:
            if event["event"] == "candidate":
                candidates.append(_candidate(event))
                self.known[event["name"]] = dict(event)
            elif event["event"] == "stage":
                stage[0] = str(event["text"])

        modes = sorted({self.wanted.mode, "default"})
        step = {"step": "look", "avoid": sorted(self.avoid), "known": self.known, "modes": modes}
        seen = observe([self._job(step)], self.options, self.tell, also)
        if seen.error is None:
            self.looked = (seen, candidates)
            for region in seen.facts["regions"]["regions"]:
                self.known[region["name"]]["nested"] = region["nested"]
        elif stage[0].startswith(_CAPTURING) and seen.status in (Status.CRASH, Status.TIMEOUT):
            name = stage[0].removeprefix(_CAPTURING).removesuffix(" with its block compiled once")
            self._cut_around(name, seen.error)
        else:
            return TargetPlan(self.target.name, self.target.spec, error=seen.error, notes=tuple(self.notes))
        return None

    def _cut_around(self, name: str, why: str) -> None:
        self.avoid.add(name)
        self.looked = None
        self._note(f"{name} is cut around: {_first_line(why)}")

    def _note(self, *texts: str) -> None:
        self.notes += texts
        for text in texts:
            self.tell(text)

    def _regions(self) -> list[Event]:
        assert self.looked is not None
        found: Sequence[Event] = self.looked[0].facts["regions"]["regions"]
        return [each for each in found if each["name"] not in self.dropped]

    def _job(self, step: dict[str, Any], folder: str | None = None) -> dict[str, Any]:
        caches = {"TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor", "TRITON_CACHE_DIR": f"{folder}/triton"}
        environment = caches if folder else {}
        return make_job(self.target, self.options, overlay=dict(self.sources), plan=step, environment=environment)

    def _mode(self, region: Event) -> str:
        return self.modes.get(region["name"], self.wanted.mode)

    def _nested(self, region: Event) -> bool:
        return self.wanted.nested and bool(region["nested"]) and region["name"] not in self.plain

    def _code(self, region: Event) -> list[str]:
        nested = region["nested"] if self._nested(region) else []
        return [*nested, *region["code"][self._mode(region)]]

    def _try(self, regions: Sequence[Event]) -> tuple[TargetPlan, bool]:
        """The plan with these regions, and whether something else is to be tried."""
        inside = [""]

        def also(event: Event) -> None:
            if event["event"] == "inside":
                inside[0] = str(event["name"])

        chosen = [{"name": each["name"], "keys": each["keys"], "code": self._code(each)} for each in regions]
        with tempfile.TemporaryDirectory(prefix="graphfix-plan-") as folder:
            step = {"step": "attempt", "regions": chosen, "rounds": self.wanted.rounds}
            seen = observe([self._job(step, folder)], self.options, self.tell, also)
        event = seen.facts.get("attempt")
        if event is None:
            return self._plan(error=seen.error), self._blame(inside[0], seen.error or "the process ended", regions)
        if event["failure"]:
            name, why = event["failed"] or "", str(event["failure"])
            if event["overwritten"] or event["out_of_memory"]:
                return self._plan(error=why), self._without_cudagraphs(why, regions)
            return self._plan(error=why), self._blame(name, why, regions)
        return self._judge(event, regions)

    def _judge(self, event: Event, regions: Sequence[Event]) -> tuple[TargetPlan, bool]:
        if event["difference"]:
            again = self._without_nesting(event["difference"], regions)
            again = again or self._without_cudagraphs(event["difference"], regions)
            return self._plan(event, regions), again
        slow = [each["name"] for each in regions if _gain(event, each["name"]) < self.wanted.least_gain]
        for name in slow:
            self._note(f"{name} is left in eager: {_gain(event, name):.2f}× is no gain")
        self.dropped.update(slow)
        return self._plan(event, regions), bool(slow)

    def _blame(self, name: str, why: str, regions: Sequence[Event]) -> bool:
        """Keep the failed region from failing again; whether there is anything left to try."""
        guilty = [each for each in regions if each["name"] == name]
        if not guilty:
            return self._without_nesting(why, regions) or self._without_cudagraphs(why, regions)
        self.sound.update(each["name"] for each in regions if each["name"] != name)
        if _first_line(why) not in self.hard and self._without_nesting(why, guilty):
            return True
        self.hard.add(_first_line(why))
        self._cut_around(name, why)
        return True

    def _without_nesting(self, why: str, regions: Sequence[Event]) -> bool:
        nested = [each["name"] for each in regions if self._nested(each)]
        self.plain.update(nested)
        self._note(*(f"{name}: its block is not compiled once, that failed: {_first_line(why)}" for name in nested))
        return bool(nested)

    def _without_cudagraphs(self, why: str, regions: Sequence[Event]) -> bool:
        """Take the mode from the regions that run many times first, for their outputs are overwritten soonest."""
        with_mode = [each for each in regions if self._mode(each) != "default"]
        changed = [each["name"] for each in with_mode if each["calls"] > 1] or [each["name"] for each in with_mode]
        self.modes.update(dict.fromkeys(changed, "default"))
        self._note(*(f"{name}: mode default, since {self.wanted.mode} failed: {_first_line(why)}" for name in changed))
        return bool(changed)

    def _plan(self, event: Event | None = None, regions: Sequence[Event] = (), error: str | None = None) -> TargetPlan:
        seen, candidates = self.looked if self.looked is not None else (None, [])
        facts = seen.facts if seen is not None else {}
        found = event or {"eager": {}, "compiled": {}}
        return TargetPlan(
            name=self.target.name,
            spec=self.target.spec,
            error=error,
            candidates=tuple(candidates),
            regions=tuple(self._region(each, event) for each in regions) if event else (),
            names=facts["regions"]["names"] if facts else {},
            notes=tuple(self.notes),
            eager=found["eager"].get("median"),
            compiled=found["compiled"].get("median"),
            first=sum(found["compiled"]["first"][:1]) if event else None,
            graphs=found.get("graphs"),
            recompiles=found.get("recompiles"),
            launches=Launches(**found["compiled"].get("launches", {})),
            waits=_waits(found["compiled"].get("waits", ())),
            max_abs_diff=found.get("max_abs_diff"),
            difference=found.get("difference"),
            device=facts["versions"]["device"] if facts else None,
        )

    def _region(self, region: Event, event: Event) -> Region:
        name = region["name"]
        return Region(
            name=name,
            mode=self._mode(region),
            calls=region["calls"],
            share=region["share"],
            code=tuple(self._code(region)),
            nested=self._nested(region),
            eager=event["eager"]["regions"][name] or None,
            compiled=event["compiled"]["regions"][name] or None,
            first=event["compiled"]["regions_first"][name] or None,
        )


def plan(target: Target, sources: Mapping[str, str], wanted: Wanted, options: Options, tell: Tell) -> TargetPlan:
    """Search, try, and try again without what failed or gained nothing. `sources`: an overlay's texts."""
    return Search(target, sources, wanted, options, tell).run()


def _gain(event: Event, name: str) -> float:
    eager, compiled = event["eager"]["regions"][name], event["compiled"]["regions"][name]
    return float(eager / compiled) if compiled else float("inf")


def _waits(events: Sequence[Event]) -> tuple[Wait, ...]:
    """The places in the order in which they were reached first."""
    found = Counter((event["path"], event["line"], event["op"], event["region"]) for event in events)
    return tuple(Wait(*place, count) for place, count in found.items())


def _candidate(event: Event) -> Candidate:
    return Candidate(
        name=event["name"],
        kind=event["class"],
        members=event["members"],
        calls=event["calls"],
        share=event["share"],
        whole=event["whole"],
        reason=event["reason"],
        breaks=event["breaks"],
        graphs=event["graphs"],
        ops=event["ops"],
    )


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "no reason was given"
