"""What a command leaves behind: a report, an exit code, perhaps a patch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from graphfix.errors import WriteError
from graphfix.model import Finding, Report, Status
from graphfix.rule import Rule
from graphfix.source.sources import Sources


@dataclass(frozen=True)
class Outcome:
    """The report, the exit code, the patch that `--diff` prints instead of the report, and notes for stderr.

    `fill` adds what all formats but text show, the fixes of static findings above all: making them takes longer than
    finding.
    """

    report: Report
    exit_code: int
    patch: bytes | None = None
    notes: tuple[str, ...] = ()
    fill: Callable[[Report], Report] | None = None

    def render(self, format: str, color: bool) -> str:
        """The report in the format asked for."""
        from graphfix.report import render

        report = self.report if self.fill is None or format == "text" else self.fill(self.report)
        return render(report, format, color=color, explain_rule=_rule_words)


def _rule_words(code: str) -> str:
    from graphfix.commands.words import rule_words

    return rule_words(code)


def filling(sources: Sources, rules: Sequence[Rule]) -> Callable[[Report], Report]:
    """Makes the fixes of a report's findings; these are places in `sources`."""
    return lambda report: replace(report, findings=with_fixes(report.findings, sources, rules))


def with_fixes(findings: Iterable[Finding], sources: Sources, rules: Sequence[Rule]) -> tuple[Finding, ...]:
    """The findings with the fixes that the rules make of them."""
    from graphfix.scan import fixes

    return tuple(fixes.with_fixes(findings, sources, rules))


def exit_code(report: Report) -> int:
    """0: clean. 1: a break, a finding, a target without a graph, a failed verdict. 2: a target could not be run."""
    if any(target.status is not Status.OK for target in report.targets):
        return 2
    judged = all(target.verdict is None or target.verdict.ok for target in report.targets)
    return 0 if judged and all(target.clean for target in report.targets) and not report.findings else 1


def write_text(path: Path, text: str) -> None:
    """Write a report. Raises WriteError."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a report or patch. Raises WriteError."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise WriteError(f"{path} cannot be written: {error.strerror}; name a place that can be.") from None
