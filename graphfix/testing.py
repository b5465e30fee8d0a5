"""Runs a rule's cases: the executable half of its words. Public, for rule packs.

A pack tests itself with

    @pytest.mark.parametrize("rule", graphfix.testing.rules_of(my_pack), ids=lambda rule: rule.code)
    def test_rule(rule):
        assert graphfix.testing.check_rule(rule) == []
"""

from __future__ import annotations

import ast
import tempfile
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from graphfix.model import HOST_COPY, RECOMPILED, Certainty, Target
from graphfix.prove.verify import STEP_BACKEND
from graphfix.registry import rules_in
from graphfix.rule import Case, Finds, Leaves, Rewrites, Rule
from graphfix.scan import static
from graphfix.scan.dynamic import Options, make_job, observe_all
from graphfix.scan.observation import Observation
from graphfix.scan.placed import Placed
from graphfix.source.module import Module
from graphfix.source.sources import Sources

_LIMIT = 20
"""No case needs more rewrites than this; more means that a rule's own output matches it again."""

_OF_BACKENDS = "GB0219"
"""The id of a break that a backend asks for; Dynamo alone does not show it."""

_TARGET = """
import graphfix
import torch
from {module} import *

def calls():
"""


def rules_of(module: ModuleType) -> list[Rule]:
    """The rules that a module defines."""
    return list(rules_in(module))


@dataclass(frozen=True)
class _Prepared:
    """One case as a file with a target, before and (for Rewrites) after."""

    case: Case
    number: int
    source: str
    path: Path

    @property
    def label(self) -> str:
        return f"{type(self.case).__name__} {self.number}"


def check_rule(rule: Rule, device: str | None = "cpu") -> list[str]:
    """Run every case of the rule; returns what is wrong, one sentence each, empty when all is well.

    Of each `Rewrites`: Dynamo breaks in it at a site that the rule repairs; repairing site after site gives exactly
    `after`; the breaks that the rule names are gone, or functions are compiled again less often; graphs were
    captured; eager results are equal bit for bit and compiled ones agree, on every call. Of each `Leaves`: the rule
    rewrites none of the breaks that Dynamo reports, and finds nothing statically. Of each `Finds`: the text makes
    certain what the rule says, and Dynamo breaks there.
    """
    problems = [
        f"{rule.code} has no case of kind {kind.__name__}"
        for kind in (Finds if rule.only_finds else Rewrites, Leaves)
        if not _has(rule, kind)
    ]
    with tempfile.TemporaryDirectory(prefix="graphfix-cases-") as folder:
        prepared = [_prepare(rule, number, case, Path(folder)) for number, case in enumerate(rule.cases, 1)]
        options = Options([rule], device=device)
        before = _run(prepared, options, [Sources()] * len(prepared), against=False)
        sources = []
        for case, seen in zip(prepared, before, strict=True):
            found, patched = _check_before(rule, case, seen)
            problems += [f"{rule.code} {case.label}: {problem}" for problem in found]
            sources.append(patched)
        after = _run(prepared, options, sources, against=True)
        for case, was, seen, patched in zip(prepared, before, after, sources, strict=True):
            if isinstance(case.case, Rewrites):
                found = _check_after(rule, seen, patched)
                if RECOMPILED in rule.repairs and len(seen.recompiles) >= len(was.recompiles):
                    found.append(f"is compiled again {len(seen.recompiles)} times, as before")
                if seen.host_copies:
                    found.append(f"copies {len(seen.host_copies)} tensors from the host")
                problems += [f"{rule.code} {case.label}: {problem}" for problem in found]
    return problems


def _has(rule: Rule, kind: type[Case]) -> bool:
    return any(isinstance(case, kind) for case in rule.cases)


def _prepare(rule: Rule, number: int, case: Case, folder: Path) -> _Prepared:
    text = textwrap.dedent(case.before if isinstance(case, Rewrites) else case.source).strip("\n") + "\n"
    path = folder / f"{rule.name.replace('-', '_')}_{number}.py"
    path.write_text(text, encoding="utf-8")
    calls = [f"    yield graphfix.Call({_as_call(call)})\n" for call in case.calls or ("torch.relu(torch.ones(1))",)]
    target = _target_file(path)
    target.write_text(_TARGET.format(module=path.stem) + "".join(calls), encoding="utf-8")
    return _Prepared(case, number, text, path)


def _target_file(path: Path) -> Path:
    return path.with_name(f"{path.stem}_target.py")


def _as_call(call: str) -> str:
    """`f, torch.ones(3)` of `f(torch.ones(3))`."""
    tree = ast.parse(call, mode="eval").body
    if not isinstance(tree, ast.Call):
        raise ValueError(f"a case's call must be a call like f(torch.ones(3)), not {call!r}")
    return ", ".join([ast.unparse(tree.func), *map(ast.unparse, (*tree.args, *tree.keywords))])


def _run(cases: Sequence[_Prepared], options: Options, sources: Sequence[Sources], against: bool) -> list[Observation]:
    """One worker process for all cases; eager results go to files beside the cases, and come from there.

    Where a rule repairs what only a backend sees, the cases are compiled with one before the rewrite too. A failure may
    leave torch broken: then each case gets a process of its own.
    """
    rule = options.rules[0]
    jobs = []
    for case, patched in zip(cases, sources, strict=True):
        target = Target(f"{_target_file(case.path)}::calls", case.label)
        results = str(case.path.with_suffix(".pt"))
        backend = rule.backend or STEP_BACKEND
        steps: dict[str, Any] = {"against": results, "compile": [backend]} if against else {"save": results}
        if rule.failures or rule.repairs & {_OF_BACKENDS, RECOMPILED}:
            steps["compile"] = [backend]
        jobs.append(make_job(target, options, overlay=patched.patched, explain=True, check=True, **steps))
    batches = [[job] for job in jobs] if rule.failures and not against else [jobs]
    found = [seen for batch in batches for seen in observe_all(batch, options, lambda step: None)]
    if HOST_COPY in rule.repairs:  # the device "meta" stands for any other than the host
        elsewhere = replace(options, device="meta")
        jobs = [
            make_job(
                Target(f"{_target_file(case.path)}::calls", case.label),
                elsewhere,
                overlay=patched.patched,
                compile=["eager"],
            )
            for case, patched in zip(cases, sources, strict=True)
        ]
        for seen, moved in zip(found, observe_all(jobs, elsewhere, lambda step: None), strict=True):
            seen.host_copies = moved.host_copies
    return found


def _check_before(rule: Rule, case: _Prepared, seen: Observation) -> tuple[list[str], Sources]:
    if seen.error is not None:
        return [f"does not run: {seen.error}"], Sources()
    if isinstance(case.case, Leaves):
        return _check_untouched(rule, case, seen), Sources()
    if isinstance(case.case, Finds):
        return _check_found(rule, case, case.case, seen), Sources()
    expected = textwrap.dedent(case.case.after).strip("\n") + "\n"
    if not any(site.candidates([rule]) for site in _sites(rule, seen, Sources())):
        return [f"Dynamo reports no break that {rule.code} repairs"], Sources()
    sources = _rewrite_all(rule, case, seen)
    text = sources.module(str(case.path)).text
    if text != expected:
        return [f"rewrites to\n{text}\nnot to\n{expected}"], sources
    return [], sources


def _rewrite_all(rule: Rule, case: _Prepared, seen: Observation) -> Sources:
    """Repair the first reported site, run again in a worker, and so on until the rule has nothing to say."""
    sources = Sources()
    for _ in range(_LIMIT):
        fixes = (rule.fix(place) for s in _sites(rule, seen, sources) for _, place in s.candidates([rule]))
        fix = next((fix for fix in fixes if fix is not None), None)
        if fix is None:
            break
        sources = sources.with_edits(fix.edits)
        if _is_expected(case, sources):
            break
        seen = _run([case], Options([rule], device="cpu"), [sources], against=False)[0]
    return sources


def _sites(rule: Rule, seen: Observation, sources: Sources) -> list[Placed]:
    """The places a rule is asked about: breaks, those for whose values functions are compiled again, and copies."""
    return [*seen.sites(sources, [rule]), *seen.recompiled(sources, [rule]), *seen.copied(sources, [rule])]


def _is_expected(case: _Prepared, sources: Sources) -> bool:
    assert isinstance(case.case, Rewrites)
    expected = textwrap.dedent(case.case.after).strip("\n") + "\n"
    return sources.module(str(case.path)).text == expected


def _check_untouched(rule: Rule, case: _Prepared, seen: Observation) -> list[str]:
    module = Module(str(case.path), case.source)
    problems = [f"is found statically at line {one.location.line}" for one, _ in static.sites(module, [rule])]
    for site in _sites(rule, seen, Sources()):
        problems += [f"is rewritten at line {site.location.line}" for _, p in site.candidates([rule]) if rule.fix(p)]
    return problems


def _check_found(rule: Rule, case: _Prepared, expected: Finds, seen: Observation) -> list[str]:
    """Whether the text shows these lines and no others, and Dynamo broke at each, where it could."""
    module = Module(str(case.path), case.source)
    findings = [one for one, _ in static.sites(module, [rule]) if one.certainty is Certainty.CERTAIN]
    lines = tuple(one.location.line for one in findings)
    problems = [] if lines == expected.lines else [f"finds lines {lines}, not {expected.lines}"]
    if not expected.calls:
        return problems
    broken = {site.location.line: site.event["id"] for site in seen.sites(Sources(), [rule])}
    problems += [f"Dynamo does not break at line {line}" for line in lines if line not in broken]
    wrong = {line: broken[line] for line in lines if line in broken and broken[line] not in rule.names}
    return problems + [f"Dynamo says {id} at line {line}, which the rule does not name" for line, id in wrong.items()]


def _check_after(rule: Rule, seen: Observation, sources: Sources) -> list[str]:
    if seen.error is not None:
        return [f"does not run afterwards: {seen.error}"]
    problems = []
    for site in seen.sites(sources, [rule]):
        place = f"line {site.location.line}: {site.event['id']} {site.event['type']}"
        problems += [f"still breaks at {place}" for _, _ in site.candidates([rule])]
    if seen.graphs == 0:
        problems.append("no graph was captured")
    for kind, say in (("eager", "eager differs"), ("compiled", "compiled differs")):
        fact = seen.facts.get(kind)
        if fact is None or fact["difference"] is not None:
            problems.append(f"{say}: {fact['difference'] if fact else 'not compared'}")
    return problems
