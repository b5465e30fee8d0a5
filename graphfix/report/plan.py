"""Plans as text or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from graphfix.measured import Candidate, Plans, Region, TargetPlan, Wait
from graphfix.report._paths import shorten
from graphfix.report.bench import seconds


def text(plans: Plans) -> str:
    """For each target what was looked at, the code to paste, and what it gave."""
    parts = ["\n".join(_target(target)) for target in plans.targets]
    versions = " · ".join(f"{name} {version}" for name, version in plans.versions.items())
    return "\n\n".join([*parts, versions]) + "\n"


def document(plans: Plans) -> dict[str, Any]:
    """The plans as plain dicts and lists; seconds."""
    return {"schema": 1, "versions": dict(plans.versions), "targets": [_row(target) for target in plans.targets]}


def as_json(plans: Plans) -> str:
    return json.dumps(document(plans), indent=2, ensure_ascii=False) + "\n"


def _target(target: TargetPlan) -> Iterator[str]:
    yield f"{target.name} ({shorten(target.spec)})"
    yield from map(_candidate, target.candidates)
    yield from (f"  note: {note}" for note in target.notes)
    if target.error:
        yield f"  no plan: {target.error}"
    elif not target.regions:
        yield "  no plan: nothing was found that compiles as a whole and gains something"
    else:
        yield from _code(target)
        yield from map(_region, target.regions)
        yield from map(_wait, target.waits)
        yield f"  {_outcome(target)}"


def _candidate(one: Candidate) -> str:
    many = f", {one.calls} runs" if one.calls > 1 else ""
    found = f"whole, {one.ops} ops" if one.whole else f"not a region: {one.reason}"
    return f"  {one.share:4.0%} {one.name}{many}: {found}"


def _code(target: TargetPlan) -> Iterator[str]:
    yield "  compile this, after the model is built:"
    yield from (f"    {line}" for line in target.imports)
    used = {name: words for name, words in target.names.items() if any(name in line for line in target.code)}
    yield from (f"    # {name}: {words}" for name, words in used.items())
    yield from (f"    {line}" for line in target.code)


def _region(one: Region) -> str:
    many = f" in {one.calls} runs" if one.calls > 1 else ""
    if one.eager is None or one.compiled is None or one.first is None:
        return f"  {one.name}: all of it"
    gain = f"{seconds(one.eager)} → {seconds(one.compiled)}{many} ({one.eager / one.compiled:.2f}×)"
    return f"  {one.name}: {gain}, first {seconds(one.first)}"


def _wait(one: Wait) -> str:
    often = f" {one.count} times" if one.count > 1 else ""
    where = f"in {one.region}" if one.region else "outside of the regions"
    return f"  the host waits{often}, {where}: {shorten(one.path)}:{one.line}: {one.op}"


def _outcome(target: TargetPlan) -> str:
    assert target.eager is not None
    assert target.compiled is not None
    faster = f"{seconds(target.eager)} → {seconds(target.compiled)} ({target.eager / target.compiled:.2f}×)"
    gap = f"max diff {target.max_abs_diff or 0:.2g}"
    judged = "proven" if target.proven else f"not proven: {target.difference}"
    return f"whole run: {faster}, first {seconds(target.first)}, {gap} on every call: {judged}"


def _row(target: TargetPlan) -> dict[str, Any]:
    return {
        "name": target.name,
        "spec": target.spec,
        "status": "error" if target.error else "ok",
        "error": target.error,
        "candidates": [asdict(one) for one in target.candidates],
        "plan": {
            "imports": list(target.imports),
            "code": list(target.code),
            "names": dict(target.names),
            "regions": [asdict(one) for one in target.regions],
        },
        "proven": target.proven,
        "eager": target.eager,
        "compiled": target.compiled,
        "first": target.first,
        "graphs": target.graphs,
        "recompiles": target.recompiles,
        "launches": asdict(target.launches),
        "waits": [asdict(one) for one in target.waits],
        "max_abs_diff": target.max_abs_diff,
        "difference": target.difference,
        "notes": list(target.notes),
    }
