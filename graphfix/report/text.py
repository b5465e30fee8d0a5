"""The report for a person at a terminal or reading a log."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from graphfix.model import Report
from graphfix.report._lines import wrapped
from graphfix.report._marks import visible
from graphfix.report._paths import shorten
from graphfix.report._summary import exact_rules, summary
from graphfix.report._text_findings import findings

_NARROWEST = 30


def render(report: Report, *, width: int | None = None, color: bool = False) -> str:
    """Lines of at most `width` cells; without colour, carets stand for it and no line ends in a blank."""
    columns = width if width is not None else shutil.get_terminal_size((100, 24)).columns
    text = "".join(_parts(report, max(columns, _NARROWEST), color))
    return text if color else "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def _parts(report: Report, width: int, color: bool) -> Iterator[str]:
    if report.targets:
        from graphfix.report import _text_targets  # a report on files needs no rich

        yield _text_targets.targets(report, width, color)
    yield from (f"{line}\n" for line in findings(report.findings, width, color))
    if report.fixes or report.written or any(target.verdict for target in report.targets):
        from graphfix.report import _text_targets

        yield _text_targets.applied(report, width, color)
    for path, reason in report.skipped:
        yield _paragraph(f"skipped {shorten(path)}: {reason}", width, "")
    yield _paragraph(summary(report), width, "bold" if color else "")
    if report.fixes is None and (rules := exact_rules(report)):
        sentence = f"`graphfix apply PATH` writes the exact fixes ({', '.join(rules)})"
        yield _paragraph(sentence, width, "dim" if color else "")


def _paragraph(text: str, width: int, style: str) -> str:
    shown = visible(text)
    return "".join(f"{line}\n" for line in wrapped(shown, width, [(0, len(shown), style)] if style else ()))
