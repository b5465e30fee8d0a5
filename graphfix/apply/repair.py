"""The repair loop: one fix, one proof, keep or reject, look again."""

from __future__ import annotations

import functools
import itertools
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from graphfix.model import (
    HOST_COPY,
    RECOMPILED,
    Arm,
    Assumption,
    Finding,
    Fix,
    FixRecord,
    FixStatus,
    Location,
    Safety,
    Status,
    Target,
    TargetReport,
    Verdict,
)
from graphfix.prove.verify import (
    STEP_BACKEND,
    Reference,
    Tell,
    key,
    line_now,
    objection,
    reference,
    run_patched,
    verdict,
)
from graphfix.prove.witness import Witness, arm_of, witness
from graphfix.rule import Rule, Site
from graphfix.scan.dynamic import Options, make_job, observe, side_by_side
from graphfix.scan.observation import Observation
from graphfix.scan.placed import Placed
from graphfix.source.sources import Sources


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be done: `scope` holds the folders and files that may be rewritten.

    No further fix is tried once `max_fixes` were kept, or `budget` seconds are over.
    """

    scope: tuple[Path, ...]
    backend: str
    unsafe: bool = False
    max_fixes: int | None = None
    budget: float | None = None

    def allows(self, path: str) -> bool:
        """Whether the file may be rewritten."""
        real = Path(path).resolve()
        return any(real == root or root in real.parents for root in self.scope)


@dataclass(frozen=True)
class Kept:
    """A fix that was kept, the files that it changes (by their real paths), the sources before it, and the branch it
    rewrote as the proving target's calls took it."""

    record: FixRecord
    paths: frozenset[str]
    before: Sources
    target: Target
    arm: Arm | None


@dataclass(frozen=True)
class Trial:
    """One of a rule's rewrites (`number`) to be tried on a site, in its direct or its dual form."""

    site: Placed
    rule: Rule
    place: Site
    number: int = 0

    @functools.cached_property
    def fix(self) -> Fix | None:
        """The rewrite, None where the rule has none."""
        return next(itertools.islice(self.rule.fixes(self.place), self.number, None), None)

    @property
    def key(self) -> tuple[object, ...]:
        """What stays the same of a trial when lines move."""
        texts = [edit.text for edit in self.fix.edits] if self.fix else []
        place = key(self.site)[:2] if self.site.event["id"] == RECOMPILED else key(self.site)
        return (self.rule.code, self.place.dual, *place, *texts)

    def as_dual(self) -> Trial:
        """The same in the dual form."""
        return Trial(self.site, self.rule, replace(self.place, dual=True), self.number)

    def all(self) -> list[Trial]:
        """One for each rewrite that the rule offers in this form."""
        found = []
        for number, fix in enumerate(self.rule.fixes(self.place)):
            found.append(Trial(self.site, self.rule, self.place, number))
            found[-1].__dict__["fix"] = fix
        return found


def _in_order(sites: Sequence[Placed]) -> list[Placed]:
    """What the compiler fails on first, since no other fix can be proven before; then the function with the most
    consequential site, its sites from top to bottom.

    So a branch is repaired before what stands inside it. (Breaks have ids since torch 2.8, failures have none.)
    """
    functions = list(dict.fromkeys(key(site)[:2] for site in sites))
    return sorted(
        sites, key=lambda site: (site.event["id"] is not None, functions.index(key(site)[:2]), site.location.line)
    )


class Repair:
    """Repairs targets one after the other on one growing set of patched sources."""

    def __init__(self, options: Options, policy: Policy, progress: Callable[[str, str], None]) -> None:
        self._options, self._policy, self._progress = options, policy, progress
        self.sources = Sources()
        self.kept: list[Kept] = []
        self.findings: list[Finding] = []
        self._start = time.monotonic()
        self.dropped: list[FixRecord] = []
        self._judged: dict[tuple[object, ...], TargetReport] = {}
        self._ran: dict[tuple[object, ...], Observation] = {}
        self._answers: dict[tuple[object, ...], bool] = {}

    @property
    def records(self) -> tuple[FixRecord, ...]:
        """Every fix that was thought of, the kept ones first."""
        return (*(kept.record for kept in self.kept), *self.dropped)

    def run(self, targets: Sequence[Target]) -> list[TargetReport]:
        """Find and prove fixes on every target, and judge it on them under the user's backend.

        What fails there is taken back. In the end all targets that run a changed file are judged on all fixes; where
        one fails that does not fail without them, the newest fix of a file that it runs is taken back and all such
        targets are judged again.
        """
        with ExitStack() as stack:
            jobs = self._options.jobs

            def run(target: Target) -> Reference:
                compile = [STEP_BACKEND]
                return stack.enter_context(reference(target, self._options, self._tell(target), compile))

            originals = side_by_side(run, targets, jobs)
            for target, original in zip(targets, originals, strict=True):
                if original.observation.status is Status.OK:
                    self._repair(target, original)
                    self._settle(target, original)
            while True:
                pairs = list(zip(targets, originals, strict=True))
                judged = side_by_side(lambda pair: self._judge(*pair), pairs, jobs)
                verdicts = [(report.verdict, original) for report, (_, original) in zip(judged, pairs, strict=True)]
                failed = next((both for both in verdicts if both[0] and not both[0].ok and not both[0].inherited), None)
                if failed is None or failed[0] is None or not self._take_back(failed[0], failed[1].observation):
                    return judged

    def _tell(self, target: Target) -> Tell:
        return lambda step: self._progress(target.name, step)

    def _repair(self, target: Target, original: Reference) -> None:
        state = original.observation
        if self.sources.patched:  # an earlier target's fixes may have repaired this one as well
            state = run_patched(target, self.sources, original, STEP_BACKEND, self._options, self._tell(target))
        tried: set[tuple[object, ...]] = set()
        rejected: dict[tuple[object, ...], int] = {}
        retried: set[tuple[object, ...]] = set()
        while not self._spent():
            trial = next(self._untried(target, state, tried), None)
            if trial is None:  # what was rejected before the last fix may hold on top of it, so it is tried once more
                again = {key for key, kept in rejected.items() if kept < len(self.kept)} - retried
                if not again:
                    break
                tried -= again
                retried |= again
                continue
            better = self._prove(target, original, state, trial)
            if better is None:
                tried.add(trial.key)
                rejected.setdefault(trial.key, len(self.kept))
            state = better or state

    def _spent(self) -> bool:
        policy = self._policy
        over = policy.budget is not None and time.monotonic() - self._start > policy.budget
        return over or (policy.max_fixes is not None and len(self.kept) >= policy.max_fixes)

    def _untried(self, target: Target, state: Observation, tried: set[tuple[object, ...]]) -> Iterator[Trial]:
        """Fixes to try now, for the most consequential site first, the safest first, unsafe ones last; then those of
        places for whose values functions are compiled again, and where compiled code copies from the host."""
        rules = self._options.rules
        breaks = _in_order(state.sites(self.sources, rules))
        beside = (*state.recompiled(self.sources, rules), *state.copied(self.sources, rules))
        for site in itertools.chain(breaks, beside):
            offers = site.candidates(rules)
            trials = [
                Trial(site, rule, replace(place, held=functools.partial(self._held, target, rule, place)))
                for rule, place in offers
            ]
            safe = [trial for trial in trials if trial.rule.safety is not Safety.UNSAFE]
            unsafe = [trial for trial in trials if trial.rule.safety is Safety.UNSAFE]
            for trial in itertools.chain.from_iterable(map(Trial.all, (*safe, *map(Trial.as_dual, safe), *unsafe))):
                if trial.fix is None or trial.key in tried:
                    continue
                if reason := self._forbidden(trial.fix):
                    tried.add(trial.key)
                    self._drop(trial, FixStatus.SKIPPED, reason)
                    continue
                yield trial

    def _held(self, target: Target, rule: Rule, place: Site, assumption: Assumption) -> bool:
        """Whether an assumption was true on the target's calls, or was not asked there.

        All that the rule would assume at the place is asked in one run.
        """
        state = (target, tuple(sorted(self.sources.patched.items())))
        if (*state, assumption) not in self._answers:
            asked = {assumption: None}
            for dual in (False, True):
                place = replace(place, dual=dual, held=lambda one: bool(asked.setdefault(one)))
                deque(rule.fixes(place), maxlen=0)
            conditions = [(one.path, one.line, one.condition) for one in asked]
            job = make_job(target, self._options, overlay=self.sources.patched, assume=conditions)
            seen = observe([job], self._options, self._tell(target)).facts.get("assumed")
            held = seen["held"] if seen else [None] * len(asked)
            self._answers |= {(*state, one): true is not False for one, true in zip(asked, held, strict=True)}
        return self._answers[(*state, assumption)]

    def _forbidden(self, fix: Fix) -> str | None:
        if any(not self._policy.allows(edit.path) for edit in fix.edits):
            return "outside the scope; name it with --scope"
        if fix.safety is Safety.UNSAFE and not self._policy.unsafe:
            return "unsafe; allow it with --unsafe"
        return None

    def _prove(self, target: Target, original: Reference, state: Observation, trial: Trial) -> Observation | None:
        """What the target shows with the fix, None where it is rejected."""
        place = trial.site.location
        form = " in its dual form" if trial.fix and trial.fix.dual else ""
        self._progress(target.name, f"proving {trial.rule.code}{form} at {Path(place.path).name}:{place.line}")
        after, against, moved = self._run_step(target, original, state, trial)
        if against is None:
            seen = self._witness(target, state, trial)
            against = seen.difference if seen else None
            if seen is not None and seen.one_sided and trial.rule.both_ways:
                against = against or "no call and no other input took both ways of the branch"
            if against is None:
                if seen is not None and seen.one_sided and not trial.place.dual and trial.as_dual().fix is not None:
                    dual = self._prove(target, original, state, trial.as_dual())
                    if dual is not None:
                        return dual
                return self._keep_onward(target, original, trial, seen, after, moved)
        elif better := self._prove_with_next(target, original, state, trial, after):
            return better
        self._drop(trial, FixStatus.REJECTED, against)
        return None

    def _keep_onward(
        self,
        target: Target,
        original: Reference,
        trial: Trial,
        seen: Witness | None,
        after: Observation,
        moved_to: Sequence[Location],
    ) -> Observation | None:
        """Keep the fix, with fixes for the places to which it moves the break; None where one of those stays.

        `moved_to` are such places in the patched sources, besides those that the fix itself names.
        """
        before, kept, findings = self.sources, len(self.kept), len(self.findings)
        state = self._keep(target, trial, seen, after)
        assert trial.fix is not None
        tried: set[tuple[object, ...]] = set()
        patched = self.sources
        while moved := self._at(trial.fix.onward, before, state) | self._at(moved_to, patched, state):
            trials = self._untried(target, state, tried)
            following = next((one for one in trials if one.site.location in moved), None)
            if following is None:
                del self.kept[kept:], self.findings[findings:]
                self.sources = before
                places = ", ".join(
                    f"{Path(place.path).name}:{place.line}" for place in sorted(moved, key=lambda place: place.line)
                )
                self._drop(trial, FixStatus.REJECTED, f"the break would move to {places}, where it stays")
                return None
            tried.add(following.key)
            state = self._prove(target, original, state, following) or state
        return state

    def _at(self, places: Sequence[Location], before: Sources, state: Observation) -> set[Location]:
        """Where the target breaks on one of these places in the sources `before`."""
        lines = {(place.path, line_now(place, before, self.sources)) for place in places}
        found = (site.location for site in state.sites(self.sources, self._options.rules))
        return {place for place in found if (place.path, place.line) in lines}

    def _prove_with_next(
        self, target: Target, original: Reference, state: Observation, trial: Trial, after: Observation
    ) -> Observation | None:
        """What the target shows with the fix and that of a compiler failure which only this fix brings out.

        So where a break that goes joins two graphs into one that the backend cannot compile. None where nothing does.
        """
        known = {key(site) for site in state.sites(self.sources, self._options.rules)}
        new = [site for site in after.sites(self._with(trial), self._options.rules) if site.event["id"] is None]
        if not any(key(site) not in known and site.candidates(self._options.rules) for site in new):
            return None
        before, kept, findings = self.sources, len(self.kept), len(self.findings)
        self._keep(target, trial, None, after)
        for following in self._untried(target, after, set()):
            if following.site.event["id"] is None and key(following.site) not in known:
                better = self._prove(target, original, after, following)
                if better is None:
                    continue
                seen = self._witness(target, state, trial, before)  # alone it would show the failure
                if seen is None or seen.difference is None:
                    self.kept[kept] = replace(self.kept[kept], arm=seen.arm if seen else None)
                    self._find_latent(trial, seen)
                    return better
                break
        del self.kept[kept:], self.findings[findings:]
        self.sources = before
        return None

    def _run_step(
        self, target: Target, original: Reference, state: Observation, trial: Trial
    ) -> tuple[Observation, str | None, Sequence[Location]]:
        """What the target shows with the fix, what speaks against it, and the places to which it moves the break."""
        sources = self._with(trial)
        step = STEP_BACKEND if self._policy.backend != "eager" else "eager"
        after = run_patched(target, sources, original, step, self._options, self._tell(target))
        before, now = state.sites(self.sources, self._options.rules), after.sites(sources, self._options.rules)
        found = verdict(
            target,
            original.observation,
            after,
            sources,
            step,
            self._options,
            draws_less=self._draw_less(trial.rule),
            step=True,
            moves=bool(trial.fix and trial.fix.onward),
            known=before,
        )
        moved: list[Placed] = []
        more = state.graphs and len(now) > len(before) and not ((trial.fix and trial.fix.onward) or _hides(before))
        if more or found.new_breaks:
            known = set(map(key, before))
            moved = [site for site in now if key(site) not in known]
        hopeful = all(map(self._may_be_repaired, moved))
        against = objection(found, trial.site, before, now, sources, moves=hopeful)
        if more and not hopeful:
            against = against or f"the break only moves on ({len(before)} → {len(now)} places)"
        if trial.site.event["id"] == RECOMPILED and len(after.recompiles) >= len(state.recompiles):
            against = against or "functions are compiled again as often as before"
        if trial.site.event["id"] == HOST_COPY and len(after.host_copies) >= len(state.host_copies):
            against = against or "as many tensors are copied from the host as before"
        return after, against, [site.location for site in moved]

    def _may_be_repaired(self, site: Placed) -> bool:
        """Whether there is a rewrite for a site, and one that may be made."""
        return any(
            trial.fix is not None and self._forbidden(trial.fix) is None
            for rule, place in site.candidates(self._options.rules)
            for trial in (Trial(site, rule, place), Trial(site, rule, place).as_dual())
        )

    def _draw_less(self, *rules: Rule) -> bool:
        """Whether a kept fix, or one of these rules, leaves out random numbers, as an unsafe rule may."""
        kept = {kept.record.rule for kept in self.kept}
        found = (*rules, *(rule for rule in self._options.rules if rule.code in kept))
        return any(rule.draws_less and rule.safety is Safety.UNSAFE for rule in found)

    def _witness(
        self, target: Target, state: Observation, trial: Trial, before: Sources | None = None
    ) -> Witness | None:
        """What mutated inputs show of the fix, None where it leaves eager as it is by construction.

        With the sources `before` it, the fix is kept already, with others that it needs.
        """
        fix = trial.fix
        if fix is None or (fix.safety is Safety.EXACT and not fix.dual):
            return None
        sources = (self.sources, self._with(trial)) if before is None else (before, self.sources)
        arm = arm_of(fix.branch, sources[0], state.arcs) if fix.branch else None
        return witness(target, fix, trial.place, arm, sources, self._options, self._tell(target))

    def _with(self, trial: Trial) -> Sources:
        assert trial.fix is not None
        return self.sources.with_edits(trial.fix.edits)

    def _keep(self, target: Target, trial: Trial, seen: Witness | None, after: Observation) -> Observation:
        record = self._record(trial, FixStatus.KEPT, f"proven on {target.name}")
        paths = frozenset(os.path.realpath(edit.path) for edit in trial.fix.edits) if trial.fix else frozenset()
        self.kept.append(Kept(record, paths, self.sources, target, seen.arm if seen else None))
        self.sources = self._with(trial)
        self._find_latent(trial, seen)
        return after

    def _find_latent(self, trial: Trial, seen: Witness | None) -> None:
        """Findings for the ways of a branch that fail in the original code as well."""
        for failure in filter(None, seen.failures if seen else ()):
            place = Location(trial.site.location.path, trial.site.location.line)
            message = f"a way of this branch that no call takes fails, before and after the fix ({failure})"
            self.findings.append(Finding(place, None, message, code=trial.site.finding(()).code))

    def _record(self, trial: Trial, status: FixStatus, reason: str) -> FixRecord:
        fix, place = trial.fix, trial.site.location
        assert fix is not None
        return FixRecord(fix.rule, place.path, place.line, fix.safety, status, reason, fix.diff)

    def _drop(self, trial: Trial, status: FixStatus, reason: str) -> None:
        record = self._record(trial, status, reason)
        if record not in self.dropped:
            self.dropped.append(record)

    def _settle(self, target: Target, original: Reference) -> None:
        """Take back the target's own fixes, the newest first, until its verdict under the user's backend holds, or
        fails without any fix as well (unless nothing of it is compiled, with the fixes or without).

        Where that backend itself fails, fixes for that are tried before.
        """
        while self.kept and self.kept[-1].target == target:
            found = self._judge(target, original).verdict
            if found is None or found.ok or (found.inherited and found.after.graphs):
                return
            if not self._repair_backend(target, original) and not self._take_back(found, original.observation):
                return

    def _repair_backend(self, target: Target, original: Reference) -> bool:
        """Keep fixes for what only the user's backend fails on, where they make its verdict hold; else none of them.

        Each is kept for now if what it was made for is gone: the next failure may be another one.
        """
        if self._policy.backend in (STEP_BACKEND, "eager"):
            return False
        before, kept, findings = self.sources, len(self.kept), len(self.findings)
        state = self._run(target, self.sources, original)
        tried: set[tuple[object, ...]] = set()
        while not self._spent():
            trials = self._untried(target, state, tried)
            trial = next((one for one in trials if one.site.event["id"] is None), None)
            if trial is None:
                break
            tried.add(trial.key)
            after = self._run(target, self._with(trial), original)
            seen = self._witness(target, state, trial)
            against = seen.difference if seen else None
            if self._failure(trial.site) in map(self._failure, after.sites(self._with(trial), self._options.rules)):
                against = f"{self._policy.backend} still fails"
            if against is not None:
                self._drop(trial, FixStatus.REJECTED, against)
                continue
            state = self._keep(target, trial, seen, after)
            found = self._judge(target, original).verdict
            if found is None or found.ok:
                return True
        for one in self.kept[kept:]:
            reason = f"{self._policy.backend} fails elsewhere then"
            self.dropped.append(replace(one.record, status=FixStatus.REJECTED, reason=reason))
        del self.kept[kept:], self.findings[findings:]
        self.sources = before
        return False

    @staticmethod
    def _failure(site: Placed) -> tuple[object, ...]:
        """What tells one failure of the compiler from the next, at the same place too."""
        return (*key(site), site.event["explanation"])

    def _judge(self, target: Target, original: Reference) -> TargetReport:
        """The target's report on all kept fixes; without a verdict where it runs none of the changed files."""
        before = original.observation
        touched = _files_of(before) & self.sources.patched.keys()
        if not touched:
            return before.report(target, Sources(), self._options.rules)
        state = (target, *((path, self.sources.patched[path]) for path in sorted(touched)))
        if state not in self._judged:
            self._judged[state] = self._judge_anew(target, original)
        return self._judged[state]

    def _judge_anew(self, target: Target, original: Reference) -> TargetReport:
        before = original.observation
        after = self._run(target, self.sources, original)
        arms = [kept.arm for kept in self.kept if kept.arm and kept.target == target]
        draws_less = self._draw_less()
        found = verdict(target, before, after, self.sources, self._policy.backend, self._options, arms, draws_less)
        report = replace(after.report(target, self.sources, self._options.rules), verdict=found)
        if found.ok and self._is_worse(before, found):
            places = f"{found.before.sites} → {found.after.sites} places"
            return replace(report, verdict=replace(found, error=f"the graph breaks more often than before ({places})"))
        if found.ok:
            return report
        shipped = self._run(target, Sources(), original)
        as_shipped = verdict(target, before, shipped, Sources(), self._policy.backend, self._options)
        if as_shipped.error is not None:
            found = replace(found, error=f"{found.error} (and so without any fix)", inherited=True)
        return replace(report, verdict=found)

    def _is_worse(self, before: Observation, found: Verdict) -> bool:
        """Whether fixes moved breaks on to more places. Behind a skipped frame there may have been more before."""
        more = found.after.sites > found.before.sites and found.after.graphs > found.before.graphs > 0
        return more and not _hides(before.sites(Sources(), self._options.rules))

    def _run(self, target: Target, sources: Sources, original: Reference) -> Observation:
        state = (target, *sorted(sources.patched.items()))
        if state not in self._ran:
            self._progress(target.name, f"judging under {self._policy.backend}")
            self._ran[state] = run_patched(
                target, sources, original, self._policy.backend, self._options, self._tell(target)
            )
        return self._ran[state]

    def _take_back(self, failed: Verdict, seen: Observation) -> bool:
        """Take back the newest fix of a file that the failed target runs, with later ones of the same files.

        False where there is none.
        """
        ran = _files_of(seen)
        number = next((n for n in reversed(range(len(self.kept))) if self.kept[n].paths & ran), None)
        if number is None:
            return False
        first, *later = self.kept[number:]
        gone, paths = [first], first.paths
        for kept in later:
            if kept.paths & paths:
                gone.append(kept)
                paths |= kept.paths
        self.sources = self.sources.without(paths, first.before)
        self.kept = [kept for kept in self.kept if kept not in gone]
        reason = f"under {failed.backend}, {failed.target}: {failed.error or failed.new_breaks[0]}"
        self.dropped += [replace(kept.record, status=FixStatus.REJECTED, reason=reason) for kept in gone]
        return True


def _hides(sites: Sequence[Placed]) -> bool:
    """Whether Dynamo skipped a frame at one of the sites, so that there may be more behind it."""
    return any(site.hides_rest for site in sites)


def _files_of(seen: Observation) -> set[str]:
    """The real paths of the files that ran."""
    return set(map(os.path.realpath, seen.arcs))
