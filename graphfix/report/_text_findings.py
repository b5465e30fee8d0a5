"""Static findings on a terminal, file by file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from graphfix.model import Certainty, Finding, Safety
from graphfix.report._fold import CODE, PATH, fold
from graphfix.report._lines import Span, cells, styled, wrapped
from graphfix.report._marks import mark, visible
from graphfix.report._paths import shorten

GUILTY = "bold red reverse"
NOTHING = "–"
SAFETY_STYLE = {Safety.EXACT: "green", Safety.PROVEN: "cyan", Safety.UNSAFE: "yellow"}
_INDENT = "    "


def findings(found: Sequence[Finding], width: int, color: bool) -> Iterator[str]:
    """The lines of a report on files."""
    by_path: dict[str, list[Finding]] = {}
    for finding in found:
        by_path.setdefault(finding.location.path, []).append(finding)
    for path, own in by_path.items():
        shown = shorten(path)
        for piece in fold(visible(shown), width, PATH):
            yield styled(piece, [(0, len(piece), "bold")] if color else ())
        for finding in own:
            yield from _finding(finding, shown, width, color)
        yield ""


def _finding(finding: Finding, path: str, width: int, color: bool) -> Iterator[str]:
    column = "" if finding.location.column is None else f":{finding.location.column + 1}"
    head = visible(f"{path}:{finding.location.line}{column}: ")
    likely = "likely " if finding.certainty is Certainty.LIKELY else ""
    rule = visible(finding.rule or NOTHING)
    spans: list[Span] = [(len(head), len(head + likely), "yellow")] if color and likely else []
    yield from wrapped(f"{head}{likely}{rule} {visible(finding.message)}", width, spans)
    yield from (_INDENT + line for line in _code(finding, width - len(_INDENT), color))
    if finding.fix is not None:
        safety = str(finding.fix.safety)
        spans = [(5, 5 + len(safety), SAFETY_STYLE[finding.fix.safety])] if color else []
        text = f"fix: {safety}{visible(f' ({finding.fix.title})')}"
        yield from (_INDENT + line for line in wrapped(text, width - len(_INDENT), spans))


def _code(finding: Finding, width: int, color: bool) -> Iterator[str]:
    """The user's line with the guilty part coloured, or underlined with carets where there is no colour."""
    marked = mark(finding)
    first, last = len(marked.before), len(marked.before) + len(marked.guilty)
    position = 0
    for piece in fold(marked.line, width, CODE):
        text = piece.rstrip(" ")
        start, end = max(first - position, 0), min(last - position, len(text))
        position += len(piece)
        yield styled(text, [(start, end, GUILTY)] if color and start < end else ())
        if not color and start < end:
            yield " " * cells(piece[:start]) + "^" * max(1, cells(piece[start:end]))
