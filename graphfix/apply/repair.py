"""The repair loop: one fix, one proof, keep or reject, look again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from graphfix.model import Arm, Fix, FixRecord, FixStatus, Safety, Status, Target, TargetReport, Verdict
from graphfix.prove.verify import STEP_BACKEND, Reference, Tell, key, objection, reference, run_patched, verdict
from graphfix.prove.witness import arm_of
from graphfix.scan.dynamic import Options
from graphfix.scan.observation import Observation
from graphfix.scan.placed import Placed
from graphfix.source.sources import Sources


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be done: `scope` holds the folders and files that may be rewritten."""

    scope: tuple[Path, ...]
    backend: str
    unsafe: bool = False

    def allows(self, path: str) -> bool:
        """Whether the file may be rewritten."""
        real = Path(path).resolve()
        return any(real == root or root in real.parents for root in self.scope)


@dataclass(frozen=True)
class Kept:
    """A fix that was kept, the sources before it, and the branch it rewrote as the proving target's calls took it."""

    record: FixRecord
    before: Sources
    target: Target
    arm: Arm | None


def _in_order(sites: Sequence[Placed]) -> list[Placed]:
    """The function with the most consequential site first, its sites from top to bottom.

    So a branch is repaired before what stands inside it.
    """
    functions = list(dict.fromkeys(key(site)[:2] for site in sites))
    return sorted(sites, key=lambda site: (functions.index(key(site)[:2]), site.location.line))


class Repair:
    """Repairs targets one after the other on one growing set of patched sources."""

    def __init__(self, options: Options, policy: Policy, progress: Callable[[str, str], None]) -> None:
        self._options, self._policy, self._progress = options, policy, progress
        self.sources = Sources()
        self.kept: list[Kept] = []
        self.dropped: list[FixRecord] = []
        self._judged: dict[tuple[object, ...], TargetReport] = {}

    @property
    def records(self) -> tuple[FixRecord, ...]:
        """Every fix that was thought of, the kept ones first."""
        return (*(kept.record for kept in self.kept), *self.dropped)

    def run(self, targets: Sequence[Target]) -> list[TargetReport]:
        """Find and prove fixes on every target, and judge it on them under the user's backend.

        What fails there is taken back. In the end all targets that run a changed file are judged on all fixes; where
        one fails that does not fail without them, the newest fix is taken back and all are judged again.
        """
        with ExitStack() as stack:
            originals = [stack.enter_context(reference(t, self._options, self._tell(t))) for t in targets]
            for target, original in zip(targets, originals, strict=True):
                if original.observation.status is Status.OK:
                    self._repair(target, original)
                    self._settle(target, original)
            while True:
                judged = [self._judge(target, original) for target, original in zip(targets, originals, strict=True)]
                verdicts = [report.verdict for report in judged if report.verdict]
                failed = next((found for found in verdicts if not found.ok and not found.inherited), None)
                if failed is None or not self.kept:
                    return judged
                self._take_back(failed)

    def _tell(self, target: Target) -> Tell:
        return lambda step: self._progress(target.name, step)

    def _repair(self, target: Target, original: Reference) -> None:
        state = original.observation
        if self.sources.patched:  # an earlier target's fixes may have repaired this one as well
            state = run_patched(target, self.sources, original, STEP_BACKEND, self._options, self._tell(target))
        tried: set[tuple[object, ...]] = set()
        while (trial := next(self._untried(state, tried), None)) is not None:
            site, fix = trial
            self._progress(target.name, f"proving {fix.rule} at {Path(site.location.path).name}:{site.location.line}")
            better = self._prove(target, original, state, site, fix)
            if better is None:
                tried.add((fix.rule, *key(site)))
            state = better or state

    def _untried(self, state: Observation, tried: set[tuple[object, ...]]) -> Iterator[tuple[Placed, Fix]]:
        """Fixes to try now, for the most consequential site first, the safest rule first."""
        for site in _in_order(state.sites(self.sources, self._options.rules)):
            for rule, place in site.candidates(self._options.rules):
                if (rule.code, *key(site)) in tried or (fix := rule.fix(place)) is None:
                    continue
                if reason := self._forbidden(site, fix):
                    tried.add((rule.code, *key(site)))
                    self._drop(site, fix, FixStatus.SKIPPED, reason)
                    continue
                yield site, fix

    def _forbidden(self, site: Placed, fix: Fix) -> str | None:
        if any(not self._policy.allows(edit.path) for edit in fix.edits):
            return "outside the scope; name it with --scope"
        if fix.safety is Safety.UNSAFE and not self._policy.unsafe:
            return "unsafe; allow it with --unsafe"
        return None

    def _prove(
        self, target: Target, original: Reference, state: Observation, site: Placed, fix: Fix
    ) -> Observation | None:
        """What the target shows with the fix, None where it is rejected."""
        sources = self.sources.with_edits(fix.edits)
        step = STEP_BACKEND if self._policy.backend != "eager" else "eager"
        after = run_patched(target, sources, original, step, self._options, self._tell(target))
        trial = verdict(target, original.observation, after, sources, step, self._options)
        against = objection(trial, site, after.sites(sources, self._options.rules), sources)
        if against:
            self._drop(site, fix, FixStatus.REJECTED, against)
            return None
        arm = None
        if fix.branch is not None and fix.safety is not Safety.EXACT:
            arm = arm_of(fix.branch, self.sources, state.arcs)
        record = self._record(site, fix, FixStatus.KEPT, f"proven on {target.name}")
        self.kept.append(Kept(record, self.sources, target, arm))
        self.sources = sources
        return after

    def _record(self, site: Placed, fix: Fix, status: FixStatus, reason: str) -> FixRecord:
        place = site.location
        return FixRecord(fix.rule, place.path, place.line, fix.safety, status, reason, fix.diff)

    def _drop(self, site: Placed, fix: Fix, status: FixStatus, reason: str) -> None:
        record = self._record(site, fix, status, reason)
        if record not in self.dropped:
            self.dropped.append(record)

    def _settle(self, target: Target, original: Reference) -> None:
        """Take back the target's own fixes, the newest first, until its verdict under the user's backend holds."""
        while self.kept and self.kept[-1].target == target:
            found = self._judge(target, original).verdict
            if found is None or found.ok:
                return
            self._take_back(found)

    def _judge(self, target: Target, original: Reference) -> TargetReport:
        """The target's report on all kept fixes; without a verdict where it runs none of the changed files."""
        before = original.observation
        touched = {path for path in map(os.path.realpath, before.arcs) if path in self.sources.patched}
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
        found = verdict(target, before, after, self.sources, self._policy.backend, self._options, arms)
        report = replace(after.report(target, self.sources, self._options.rules), verdict=found)
        if found.ok:
            return report
        shipped = self._run(target, Sources(), original)
        as_shipped = verdict(target, before, shipped, Sources(), self._policy.backend, self._options)
        if as_shipped.error is not None:
            found = replace(found, error=f"{found.error} (and so without any fix)", inherited=True)
        return replace(report, verdict=found)

    def _run(self, target: Target, sources: Sources, original: Reference) -> Observation:
        self._progress(target.name, f"judging under {self._policy.backend}")
        return run_patched(target, sources, original, self._policy.backend, self._options, self._tell(target))

    def _take_back(self, failed: Verdict) -> None:
        last = self.kept.pop()
        self.sources = last.before
        reason = f"under {failed.backend}, {failed.target}: {failed.error or failed.new_breaks[0]}"
        self.dropped.append(replace(last.record, status=FixStatus.REJECTED, reason=reason))
