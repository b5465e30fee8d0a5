"""What a command leaves behind: a report, an exit code, perhaps a patch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from graphfix.commands.words import rule_words
from graphfix.errors import WriteError
from graphfix.model import Report, Status


@dataclass(frozen=True)
class Outcome:
    """The report, the exit code, and the patch that `--diff` prints instead of the report."""

    report: Report
    exit_code: int
    patch: bytes | None = None

    def render(self, format: str, color: bool) -> str:
        """The report in the format asked for."""
        from graphfix.report import render

        return render(self.report, format, color=color, explain_rule=rule_words)


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
