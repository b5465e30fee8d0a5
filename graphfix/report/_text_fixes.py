"""What `apply` did, on a terminal: fixes with their reasons and diffs, and the verdict that judged them."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from graphfix.model import FixRecord, FixStatus, Verdict
from graphfix.report._fold import PATH
from graphfix.report._marks import visible
from graphfix.report._paths import shorten
from graphfix.report._text_code import Folded
from graphfix.report._text_findings import SAFETY_STYLE
from graphfix.report._words import judgement, verdict_facts

_STATUS_STYLE = {FixStatus.KEPT: "bold green", FixStatus.REJECTED: "bold red", FixStatus.SKIPPED: "yellow"}
_DIFF_STYLE = {"+++": "bold", "---": "bold", "@@": "cyan", "+": "green", "-": "red"}


def fixes(records: tuple[FixRecord, ...]) -> Iterator[RenderableType]:
    """Each fix with what became of it, the kept ones with their diff."""
    for record in records:
        status = Text(f"{record.status}", _STATUS_STYLE[record.status])
        safety = Text(record.safety, SAFETY_STYLE[record.safety])
        where = visible(f" {record.rule} {shorten(record.path)}:{record.line} (")
        reason = visible(f": {record.reason}") if record.reason else ""
        yield Text.assemble(status, where, safety, ")", reason)
        if record.status is FixStatus.KEPT and record.diff:
            yield Padding(Group(*_diff_lines(record.diff)), (0, 0, 1, 2))


def verdict(judged: Verdict) -> Text:
    """What was measured — and the judgement."""
    style = "bold green" if judged.ok else "bold red"
    facts = visible(f"{judged.target}: {verdict_facts(judged)} — ")
    return Text.assemble(facts, (visible(judgement(judged)), style))


def written(paths: tuple[str, ...]) -> Iterator[RenderableType]:
    """The files that were changed or made."""
    for path in paths:
        yield Folded(f"written: {shorten(path)}", after=PATH)


def _diff_style(line: str) -> str:
    return next((style for start, style in _DIFF_STYLE.items() if line.startswith(start)), "")


def _diff_lines(diff: str) -> Iterator[Folded]:
    for line in diff.rstrip("\n").split("\n"):
        yield Folded(line.rstrip("\r"), _diff_style(line))
