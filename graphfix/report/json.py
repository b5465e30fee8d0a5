"""The report as JSON, schema 1 (docs/json.md): fields are only ever added."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from graphfix.model import Arm, Counts, Finding, Fix, FixRecord, Replays, Report, TargetReport, Verdict

SCHEMA = 1


def render(report: Report) -> str:
    """Indented JSON; columns are counted from 0 in characters, lines from 1, as in the records."""
    return json.dumps(document(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def document(report: Report) -> dict[str, Any]:
    """The report as plain dicts and lists."""
    applied = report.fixes is not None
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "versions": dict(report.versions),
        "targets": [_target(target, applied) for target in report.targets],
        "findings": [_finding(finding) for finding in report.findings],
        "skipped": [{"path": path, "reason": reason} for path, reason in report.skipped],
    }
    if report.fixes is not None:
        found["fixes"] = [_fix_record(fix) for fix in report.fixes]
        found["written"] = list(report.written)
    return found


def _target(target: TargetReport, applied: bool) -> dict[str, Any]:
    shown = {
        "name": target.name,
        "spec": target.spec,
        "status": str(target.status),
        "error": target.error,
        "graphs": target.graphs,
        "graph_breaks": target.graph_breaks,
        "ops": target.ops,
        "seconds": target.seconds,
        "sites": [_site(site) for site in target.sites],
        "recompiles": [asdict(each) for each in target.recompiles],
        "cudagraph_skips": [asdict(each) for each in target.cudagraph_skips],
        "cudagraph_partitions": target.cudagraph_partitions,
        "syncs": [asdict(each) for each in target.syncs],
        "skipped_frames": [asdict(each) for each in target.skipped_frames],
        "notes": list(target.notes),
    }
    return shown | _verdict(target.verdict) if applied or target.verdict else shown


def _span(finding: Finding) -> dict[str, Any]:
    location = finding.location
    return {
        "path": location.path,
        "line": location.line,
        "column": location.column,
        "end_line": location.end_line,
        "end_column": location.end_column,
    }


def _site(site: Finding) -> dict[str, Any]:
    found = site.break_
    return _span(site) | {
        "function": found.function if found else None,
        "code": site.code,
        "id": found.id if found else None,
        "type": found.type if found else None,
        "explanation": found.explanation if found else site.message,
        "hints": list(found.hints) if found else [],
        "seen": found.seen if found else None,
        "graphs": found.graphs if found else None,
        "in_loop": found.in_loop if found else None,
        "hides_rest": found.hides_rest if found else None,
        "hidden": found.hidden if found else None,
        "consequences": list(found.consequences) if found else [],
        "real": {"path": found.real.path, "line": found.real.line} if found and found.real else None,
        "note": found.note if found else None,
        "rule": site.rule,
        "fix": _fix(site.fix),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return _span(finding) | {
        "function": finding.function,
        "code": finding.code,
        "rule": finding.rule,
        "message": finding.message,
        "certainty": str(finding.certainty),
        "fix": _fix(finding.fix),
    }


def _fix(fix: Fix | None) -> dict[str, Any] | None:
    return {"safety": str(fix.safety), "title": fix.title, "diff": fix.diff} if fix else None


def _fix_record(fix: FixRecord) -> dict[str, Any]:
    return {
        "rule": fix.rule,
        "path": fix.path,
        "line": fix.line,
        "safety": str(fix.safety),
        "status": str(fix.status),
        "reason": fix.reason,
        "diff": fix.diff,
    }


def _verdict(verdict: Verdict | None) -> dict[str, Any]:
    """Every field is null for a target that was not judged; `arms[].reached` is the true way, then the false way."""
    return {
        "verdict": None if verdict is None else "ok" if verdict.ok else "failed",
        "verdict_error": verdict and verdict.error,
        "before": verdict and _counts(verdict.before),
        "after": verdict and _counts(verdict.after),
        "eager_identical": verdict and verdict.eager_identical,
        "compiled_max_abs_diff": verdict and _finite(verdict.compiled_max_abs_diff),
        "within_tolerance": verdict and verdict.within_tolerance,
        "arms": verdict and [_arm(arm) for arm in verdict.arms],
        "new_breaks": verdict and list(verdict.new_breaks),
        "backend": verdict and verdict.backend,
        "device": verdict and verdict.device,
        "replays": verdict and verdict.replays and _replays(verdict.replays),
    }


def _replays(replays: Replays) -> dict[str, Any]:
    return asdict(replays) | {"max_abs_diff": _finite(replays.max_abs_diff)}


def _counts(counts: Counts) -> dict[str, int]:
    return {"graphs": counts.graphs, "graph_breaks": counts.graph_breaks, "sites": counts.sites}


def _arm(arm: Arm) -> dict[str, Any]:
    return {"path": arm.path, "line": arm.line, "reached": list(arm.reached), "mutated": list(arm.mutated)}


def _finite(number: float | None) -> float | None:
    # JSON has no inf and no nan; `within_tolerance` is false beside such a null.
    return number if number is not None and math.isfinite(number) else None
