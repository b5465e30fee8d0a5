"""The judge, judged: it rejects every wrong rewrite of the table, for the right reason, and keeps every right one."""

from __future__ import annotations

import ast
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from mutants import HEADER, MUTANTS, Mutant

from graphfix.apply.repair import Policy, Repair
from graphfix.model import Edit, FixStatus, Target
from graphfix.prove import verify, witness
from graphfix.rule import Rewrite, Rule, Safety, Site
from graphfix.scan.dynamic import Options, observe_all
from graphfix.scan.observation import Observation
from graphfix.source.module import Module

PROCESSES = 2
"""How many worker processes share the jobs of a round."""

Job = Mapping[str, Any]


class Offer(Rule):
    """Offers a mutant's rewrite for whatever break Dynamo reports in its file."""

    code, name, title = "XX900", "mutant", "rewrite as the table says"
    safety = Safety.PROVEN
    repairs = frozenset(f"GB{number:04}" for number in range(10000))
    cases = ()

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def rewrite(self, site: Site) -> Rewrite | None:
        module, (first, _), edits = site.module, self.mutant.edits[0], []
        if first not in module.text:
            return None  # it is done
        for old, new in self.mutant.edits:
            assert module.text.count(old) == 1, f"{old!r} is not in the source once"
            start = module.text.index(old)
            edits.append(Edit(module.path, start, start + len(old), new))
        return Rewrite(tuple(edits), branch=_branch(module, edits[0]))


def _branch(module: Module, edit: Edit) -> Any:
    """The condition of the first `if` that begins in the replaced text: what `Site.replace` says of an `if`."""
    starts = [0]
    for line in module.lines:
        starts.append(starts[-1] + len(line) + 1)
    branches = [node for node in ast.walk(module.tree) if isinstance(node, ast.If)]
    inside = [one for one in branches if edit.start <= starts[one.lineno - 1] + one.col_offset < edit.end]
    return module.location(inside[0].test) if inside else None


class Rounds:
    """Stands in for `observe`: gathers the jobs of repairs that run in threads, and runs them in few processes.

    A round begins when every repair that still runs waits for an observation. No round has two jobs of one repair,
    so no file is loaded twice in a process.
    """

    def __init__(self, repairs: int) -> None:
        self._lock, self._running = threading.Lock(), repairs
        self._waiting: list[tuple[Job, Options, Future[Observation]]] = []

    def observe(self, jobs: Sequence[Job], options: Options, tell: Callable[[str], None]) -> Observation:
        future: Future[Observation] = Future()
        with self._lock:
            self._waiting.append((jobs[0], options, future))
        self._begin()
        return future.result()

    def leave(self) -> None:
        """One repair is over."""
        with self._lock:
            self._running -= 1
        self._begin()

    def _begin(self) -> None:
        with self._lock:
            if not self._waiting or len(self._waiting) < self._running:
                return
            round, self._waiting = self._waiting, []
        together = [one for one in round if not one[1].rules[0].mutant.alone]  # type: ignore[attr-defined]
        groups = [together[number::PROCESSES] for number in range(PROCESSES)]
        groups += [[one] for one in round if one not in together]
        with ThreadPoolExecutor(PROCESSES) as pool:
            for group, seen in zip(groups, pool.map(_run, groups), strict=True):
                for (_, _, future), observation in zip(group, seen, strict=True):
                    future.set_result(observation)


def _run(group: Sequence[tuple[Job, Options, Future[Observation]]]) -> list[Observation]:
    return observe_all([job for job, _, _ in group], group[0][1], lambda step: None) if group else []


@pytest.fixture(scope="module")
def repairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Repair]]:
    """The finished repair of every entry of the table, each in a file of its own."""
    folder, rounds = tmp_path_factory.mktemp("mutants"), Rounds(len(MUTANTS))

    def repaired(mutant: Mutant) -> Repair:
        try:
            path = folder / f"{_id(mutant)}.py"
            path.write_text(f"{HEADER}{mutant.source}\n\n@target\ndef t():\n{_indented(mutant.calls)}")
            repair = Repair(Options([Offer(mutant)], device="cpu"), Policy((folder,), "aot_eager"), lambda *_: None)
            repair.reports = repair.run([Target(f"{path}::t", mutant.name)])  # type: ignore[attr-defined]
            return repair
        finally:
            rounds.leave()

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(len(MUTANTS)) as pool:
        patch.setattr(verify, "observe", rounds.observe)
        patch.setattr(witness, "observe", rounds.observe)
        yield dict(zip((mutant.name for mutant in MUTANTS), pool.map(repaired, MUTANTS), strict=True))


def _id(mutant: Mutant) -> str:
    return "_".join("".join(c if c.isalnum() else " " for c in mutant.name).split())


def _indented(calls: str) -> str:
    return "".join(f"    {line}\n" for line in calls.strip().splitlines())


def _cases() -> list[Any]:
    def marks(mutant: Mutant) -> list[pytest.MarkDecorator]:
        return [pytest.mark.xfail(strict=True, reason=mutant.missed)] if mutant.missed else []

    return [pytest.param(one, id=_id(one), marks=marks(one)) for one in MUTANTS]


@pytest.mark.torch
@pytest.mark.parametrize("mutant", _cases())
def test_wrong_rewrites_are_rejected_and_right_ones_kept(repairs: dict[str, Repair], mutant: Mutant) -> None:
    repair = repairs[mutant.name]
    (report,) = repair.reports  # type: ignore[attr-defined]
    assert repair.records, f"the rewrite was never offered: {report.error or report.sites}"
    if mutant.says is None:
        assert [(one.status, one.reason) for one in repair.dropped] == []
        assert report.verdict is not None
        assert report.verdict.ok
        assert report.clean
        assert any(not all(arm.reached) for arm in report.verdict.arms) == mutant.one_sided
    else:
        assert [one.record.diff for one in repair.kept] == []
        assert {one.status for one in repair.dropped} == {FixStatus.REJECTED}
        assert mutant.says in repair.dropped[0].reason


def test_the_table_is_large_enough_and_names_are_its_own() -> None:
    assert len({_id(mutant) for mutant in MUTANTS}) == len(MUTANTS)
    assert sum(mutant.says is not None and not mutant.missed for mutant in MUTANTS) >= 40
    assert sum(mutant.says is None for mutant in MUTANTS) >= 8
