"""The repair loop: one fix, one proof, keep or reject, look again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from graphfix.model import Arm, Fix, FixRecord, FixStatus, Safety, Status, Target, TargetReport
from graphfix.prove.verify import STEP_BACKEND, Reference, Tell, key, objection, reference, run_patched, verdict
from graphfix.prove.witness import arm_of
from graphfix.scan.dynamic import Options
from graphfix.scan.observation import Observation, Placed
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
    """A fix that was kept, the sources before it, and the arm it rewrote."""

    record: FixRecord
    before: Sources
    arm: Arm | None


class Repair:
    """Repairs targets one after the other on one growing set of patched sources."""

    def __init__(self, options: Options, policy: Policy, progress: Callable[[str, str], None]) -> None:
        self._options, self._policy, self._progress = options, policy, progress
        self.sources = Sources()
        self.kept: list[Kept] = []
        self.dropped: list[FixRecord] = []

    @property
    def records(self) -> tuple[FixRecord, ...]:
        """Every fix that was thought of, the kept ones first."""
        return (*(kept.record for kept in self.kept), *self.dropped)

    def run(self, targets: Sequence[Target]) -> list[TargetReport]:
        """Find and prove fixes on every target, then judge all targets on all fixes under the user's backend.

        Where that last judgement fails for a target that did not fail before, the newest fix is taken back and the
        targets are judged again.
        """
        with ExitStack() as stack:
            originals = [stack.enter_context(reference(t, self._options, self._tell(t))) for t in targets]
            for target, original in zip(targets, originals, strict=True):
                if original.observation.status is Status.OK:
                    self._repair(target, original)
            while True:
                reports = [self._judge(target, original) for target, original in zip(targets, originals, strict=True)]
                failed = next((r.verdict for r, worse in reports if worse and r.verdict), None)
                if failed is None or not self.kept:
                    return [report for report, _ in reports]
                self._take_back(f"under {failed.backend}, {failed.target}: {failed.error or failed.new_breaks}")

    def _tell(self, target: Target) -> Tell:
        return lambda step: self._progress(target.name, step)

    def _repair(self, target: Target, original: Reference) -> None:
        state = original.observation
        if self.sources.patched:  # an earlier target's fixes may have repaired this one as well
            state = run_patched(target, self.sources, original, STEP_BACKEND, self._options, self._tell(target))
        tried: set[tuple[object, ...]] = set()
        while (trial := next(self._untried(state, tried), None)) is not None:
            site, fix, branch_arm = trial
            tried.add((fix.rule, *key(site)))
            self._progress(target.name, f"proving {fix.rule} at {Path(site.location.path).name}:{site.location.line}")
            state = self._prove(target, original, state, site, fix, branch_arm)

    def _untried(self, state: Observation, tried: set[tuple[object, ...]]) -> Iterator[tuple[Placed, Fix, Arm | None]]:
        """Fixes to try now, for the most consequential site first, the safest rule first."""
        for site in state.sites(self.sources, self._options.rules):
            for rule, place in site.candidates(self._options.rules):
                if (rule.code, *key(site)) in tried or (fix := rule.fix(place)) is None:
                    continue
                if reason := self._forbidden(site, fix):
                    tried.add((rule.code, *key(site)))
                    self._drop(site, fix, FixStatus.SKIPPED, reason)
                    continue
                found = rule.rewrite(place)
                branch = found.branch if found else None
                yield site, fix, arm_of(branch, self.sources, state.arcs) if branch else None

    def _forbidden(self, site: Placed, fix: Fix) -> str | None:
        if any(not self._policy.allows(edit.path) for edit in fix.edits):
            return "outside the scope; name it with --scope"
        if fix.safety is Safety.UNSAFE and not self._policy.unsafe:
            return "unsafe; allow it with --unsafe"
        return None

    def _prove(
        self, target: Target, original: Reference, state: Observation, site: Placed, fix: Fix, arm: Arm | None
    ) -> Observation:
        """The new state: the trial's where the fix is kept, else the old one."""
        sources = self.sources.with_edits(fix.edits)
        step = STEP_BACKEND if self._policy.backend != "eager" else "eager"
        after = run_patched(target, sources, original, step, self._options, self._tell(target))
        trial = verdict(target, original.observation, after, sources, step, self._options)
        against = objection(trial, site, after.sites(sources, self._options.rules))
        if against:
            self._drop(site, fix, FixStatus.REJECTED, against)
            return state
        shown = arm if fix.safety is not Safety.EXACT else None
        self.kept.append(Kept(self._record(site, fix, FixStatus.KEPT, f"proven on {target.name}"), self.sources, shown))
        self.sources = sources
        return after

    def _record(self, site: Placed, fix: Fix, status: FixStatus, reason: str) -> FixRecord:
        place = site.location
        return FixRecord(fix.rule, place.path, place.line, fix.safety, status, reason, fix.diff)

    def _drop(self, site: Placed, fix: Fix, status: FixStatus, reason: str) -> None:
        record = self._record(site, fix, status, reason)
        if record not in self.dropped:
            self.dropped.append(record)

    def _judge(self, target: Target, original: Reference) -> tuple[TargetReport, bool]:
        """The target's report on all kept fixes, and whether it is worse off than with none."""
        before = original.observation
        touched = any(os.path.realpath(path) in self.sources.patched for path in before.arcs)
        if not touched:
            return before.report(target, Sources(), self._options.rules), False
        after = self._run(target, self.sources, original)
        arms = [kept.arm for kept in self.kept if kept.arm and kept.arm.path in before.arcs]
        found = verdict(target, before, after, self.sources, self._policy.backend, self._options, arms)
        report = replace(after.report(target, self.sources, self._options.rules), verdict=found)
        if found.ok:
            return report, False
        shipped = self._run(target, Sources(), original)
        as_shipped = verdict(target, before, shipped, Sources(), self._policy.backend, self._options)
        if as_shipped.error is None:
            return report, True
        found = replace(found, error=f"{found.error or 'not proven'} (and so without any fix)")
        return replace(report, verdict=found), False

    def _run(self, target: Target, sources: Sources, original: Reference) -> Observation:
        self._progress(target.name, f"judging under {self._policy.backend}")
        return run_patched(target, sources, original, self._policy.backend, self._options, self._tell(target))

    def _take_back(self, reason: str) -> None:
        last = self.kept.pop()
        self.sources = last.before
        self.dropped.append(replace(last.record, status=FixStatus.REJECTED, reason=reason))
