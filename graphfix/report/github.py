"""The report as GitHub workflow commands: annotations on the lines of a pull request.

Syntax and escapes: https://docs.github.com/actions/reference/workflow-commands-for-github-actions and
`packages/core/src/command.ts` of actions/toolkit.
"""

from __future__ import annotations

from graphfix.model import Certainty, Finding, Report, Status, TargetReport
from graphfix.report._paths import shorten
from graphfix.report._summary import summary
from graphfix.report._words import NO_GRAPH, error_parts, judgement, notes, outcome, why


def render(report: Report) -> str:
    """One command a line, errors first (GitHub shows ten of a kind), then the summary as a notice."""
    errors = [line for target in report.targets for line in _errors(target)]
    empty = [
        _command("warning", _says(t, NO_GRAPH), {"title": "graphfix"})
        for t in report.targets
        if outcome(t) == "without a graph"
    ]
    sites = [_annotation(site) for target in report.targets for site in target.sites]
    findings = [_annotation(finding) for finding in report.findings]
    skipped = [_command("notice", f"skipped: {reason}", {"file": shorten(path)}) for path, reason in report.skipped]
    # Two targets may break at the same place: one annotation.
    lines = dict.fromkeys([*errors, *empty, *sites, *findings, *skipped, _command("notice", summary(report))])
    return "\n".join(lines) + "\n"


def _errors(target: TargetReport) -> list[str]:
    lines = []
    if target.status is not Status.OK:
        text = "\n".join(filter(None, error_parts(target)))
        lines.append(_command("error", _says(target, text), {"title": f"graphfix {target.status}"}))
    if target.verdict and not target.verdict.ok:
        lines.append(_command("error", _says(target, judgement(target.verdict)), {"title": "graphfix verdict"}))
    return lines


def _says(target: TargetReport, text: str) -> str:
    return f"{target.name}: {text}"


def _annotation(finding: Finding) -> str:
    """A warning; a notice for what is only likely."""
    location = finding.location
    properties = {"file": shorten(location.path), "line": str(location.line)}
    # The runner drops columns where line and endLine differ.
    one_line = location.end_line in (None, location.line)
    if location.column is not None and one_line:
        properties["col"] = str(location.column + 1)
    if location.end_line is not None:
        properties["endLine"] = str(location.end_line)
    if location.column is not None and location.end_column is not None and one_line:
        properties["endColumn"] = str(location.end_column + 1)
    kind = "warning" if finding.certainty is Certainty.CERTAIN else "notice"
    return _command(kind, _message(finding), properties | {"title": _title(finding)})


def _title(finding: Finding) -> str:
    ids = (finding.rule, finding.break_.id if finding.break_ else None)
    return " ".join(["graphfix", *filter(None, ids)])


def _message(finding: Finding) -> str:
    found = finding.break_
    parts = (why(finding), found.explanation if found else "", *notes(finding), _repair(finding))
    return "\n".join(filter(None, parts))


def _repair(finding: Finding) -> str:
    return f"fix ({finding.fix.safety}): {finding.fix.title}" if finding.fix else ""


def _command(kind: str, message: str, properties: dict[str, str] | None = None) -> str:
    head = ",".join(f"{name}={_property(value)}" for name, value in (properties or {}).items())
    return f"::{kind} {head}".rstrip() + f"::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
