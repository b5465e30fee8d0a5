"""The report as SARIF 2.1.0, for code-scanning pages and editors.

Specification: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html (section numbers below are its).
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from graphfix.model import Certainty, Finding, Report, Status, TargetReport
from graphfix.report._paths import uri
from graphfix.report._sarif_places import COLUMNS, artifact, bases, fix, physical
from graphfix.report._words import NO_GRAPH, judgement, notes, outcome, why

UNNAMED = "graph-break"
"""The rule id of a break that neither a rule nor Dynamo's registry names."""

Explain = Callable[[str], str]


def render(report: Report, explain_rule: Explain | None = None) -> str:
    """One run; `explain_rule` gives the Markdown that becomes a rule's help."""
    found = list(_found(report))
    rules = _rules([finding for finding, _ in found], explain_rule)
    index = {rule["id"]: position for position, rule in enumerate(rules)}
    seen: Counter[str] = Counter()
    run = {
        "tool": {"driver": {"name": "graphfix", **_version(report), "rules": rules}},
        "columnKind": COLUMNS,
        "originalUriBaseIds": bases(),
        "invocations": [_invocation(report)],
        "results": [_result(finding, target, index, seen) for finding, target in found],
        "properties": {"versions": dict(report.versions)},
    }
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return json.dumps({"$schema": schema, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False) + "\n"


def _found(report: Report) -> Iterator[tuple[Finding, TargetReport | None]]:
    for target in report.targets:
        for site in target.sites:
            yield site, target
    for finding in report.findings:
        yield finding, None


def _version(report: Report) -> dict[str, str]:
    version = report.versions.get("graphfix")
    return {"version": version} if version else {}


def _rule_id(finding: Finding) -> str:
    return finding.rule or (finding.break_.id if finding.break_ else None) or UNNAMED


def _rules(findings: list[Finding], explain_rule: Explain | None) -> list[dict[str, Any]]:
    """A descriptor (3.49) for each rule that has a result, described by its first one."""
    first: dict[str, Finding] = {}
    for finding in findings:
        first.setdefault(_rule_id(finding), finding)
    return [_rule(rule, finding, explain_rule) for rule, finding in first.items()]


def _rule(rule: str, finding: Finding, explain_rule: Explain | None) -> dict[str, Any]:
    if rule == UNNAMED:
        return {"id": rule, "shortDescription": {"text": "A graph break that Dynamo's registry does not list"}}
    title = finding.fix.title if finding.rule and finding.fix else why(finding)
    shown: dict[str, Any] = {"id": rule, "shortDescription": {"text": title or rule}}
    shown["defaultConfiguration"] = {"level": "warning"}
    if finding.rule and explain_rule and (words := explain_rule(finding.rule)):
        shown["fullDescription"] = {"text": _first_paragraph(words)}
        shown["help"] = {"text": words, "markdown": words}
    elif finding.break_ and finding.break_.hints:
        shown["help"] = {"text": "\n".join(finding.break_.hints)}
    return shown


def _first_paragraph(words: str) -> str:
    """What a rule does, on one line, without the heading."""
    return " ".join(words.strip().split("\n\n")[0].removeprefix("What it does:").split())


def _result(finding: Finding, target: TargetReport | None, index: dict[str, int], seen: Counter[str]) -> dict[str, Any]:
    rule, found = _rule_id(finding), finding.break_
    location: dict[str, Any] = {"physicalLocation": physical(finding)}
    if function := found.function if found else finding.function:
        location["logicalLocations"] = [{"fullyQualifiedName": function, "kind": "function"}]
    properties: dict[str, Any] = {"target": target.name} if target else {"certainty": str(finding.certainty)}
    if found:
        properties |= {"id": found.id, "seen": found.seen, "graphs": found.graphs, "hides_rest": found.hides_rest}
    if finding.fix:
        properties["fix"] = str(finding.fix.safety)
    made = fix(finding.fix) if finding.fix else None
    return {
        "ruleId": rule,
        "ruleIndex": index[rule],
        "level": "warning" if finding.certainty is Certainty.CERTAIN else "note",
        "message": {"text": _message(finding)},
        "locations": [location],
        "partialFingerprints": {"graphfix/v1": _fingerprint(finding, target, seen)},
        **({"fixes": [made]} if made else {}),
        "properties": properties,
    }


def _fingerprint(finding: Finding, target: TargetReport | None, seen: Counter[str]) -> str:
    """What stays the same when lines above the place come and go (3.27.17); twins are told apart by their order."""
    where = finding.break_.function if finding.break_ else finding.function
    facts = (_rule_id(finding), uri(finding.location.path), where, finding.code.strip(), target.name if target else "")
    same = "\0".join(facts)
    seen[same] += 1
    return hashlib.sha256(f"{same}\0{seen[same]}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _message(finding: Finding) -> str:
    explanation = finding.break_.explanation if finding.break_ else ""
    parts = dict.fromkeys((why(finding), explanation, *notes(finding)))
    return "\n".join(filter(None, parts)) or _rule_id(finding)


def _invocation(report: Report) -> dict[str, Any]:
    """How the run went (3.20): what failed is a notification, not a result about the code."""
    notifications = [note for target in report.targets for note in _target_notes(target)]
    for path, reason in report.skipped:
        where = [{"physicalLocation": {"artifactLocation": artifact(path)}}]
        notifications.append(_note("warning", f"skipped: {reason}") | {"locations": where})
    failed = any(target.status is not Status.OK for target in report.targets)
    return {"executionSuccessful": not failed, "toolExecutionNotifications": notifications}


def _target_notes(target: TargetReport) -> Iterator[dict[str, Any]]:
    if target.status is not Status.OK:
        yield _note("error", f"{target.name}: {target.status}: {target.error or 'no reason was given'}")
    elif outcome(target) == "without a graph":
        yield _note("warning", f"{target.name}: {NO_GRAPH}")
    if target.verdict and not target.verdict.ok:
        yield _note("error", f"{target.name}: {judgement(target.verdict)}")


def _note(level: str, text: str) -> dict[str, Any]:
    return {"level": level, "message": {"text": text}}
