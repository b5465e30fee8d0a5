"""Targets, fixes and verdicts on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from io import StringIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from graphfix.model import Report, Status, TargetReport
from graphfix.report import _text_fixes, _text_sites
from graphfix.report._marks import visible
from graphfix.report._text_code import Folded
from graphfix.report._words import error_parts, headline, lists, outcome

_OUTCOME_STYLE = {
    "clean": "green",
    "without breaks": "green",
    "with breaks": "yellow",
    "without a graph": "bold yellow",
    "failed": "bold red",
}
_SHORT_LIST = 5


def targets(report: Report, width: int, color: bool) -> str:
    """What compiling the targets showed."""
    return _printed((block for target in report.targets for block in (*_target(target, width), Text())), width, color)


def applied(report: Report, width: int, color: bool) -> str:
    """What became of the fixes, how they were judged, and what was written."""
    return _printed(_applied(report), width, color)


def _printed(blocks: Iterable[RenderableType], width: int, color: bool) -> str:
    stream = StringIO()
    console = Console(
        file=stream,
        width=width,
        color_system="standard" if color else None,
        force_terminal=color,
        force_jupyter=False,
        no_color=False,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
    )
    for block in blocks:
        console.print(block)
    return stream.getvalue()


def _applied(report: Report) -> Iterator[RenderableType]:
    if report.fixes:
        yield from _text_fixes.fixes(report.fixes)
        yield Text()
    verdicts = [target.verdict for target in report.targets if target.verdict]
    if verdicts:
        yield from map(_text_fixes.verdict, verdicts)
        yield Text()
    yield from _text_fixes.written(report.written)


def _target(target: TargetReport, width: int) -> Iterator[RenderableType]:
    style = _OUTCOME_STYLE[outcome(target)]
    name = Text(visible(target.name), "bold")
    yield Text.assemble(name, ": ", (headline(target), style), (f" ({target.seconds:.1f} s)", "dim"))
    if target.status is not Status.OK:
        yield from _error(target)
    if target.sites:
        yield Text()
        yield _text_sites.sites(target.sites, width)
        yield from _text_sites.unruled(target.sites)
    if notes := list(_notes(target)):
        yield from [Text(), *notes]


def _error(target: TargetReport) -> Iterator[RenderableType]:
    first, rest = error_parts(target)
    yield Padding(Text(visible(first), "red"), (0, 0, 0, 2))
    if rest:
        yield Padding(Folded(rest, "dim"), (0, 0, 0, 4))


def _notes(target: TargetReport) -> Iterator[RenderableType]:
    """What else compiling showed, each kind as a short list, and what the report leaves out."""
    for title, items in lists(target).items():
        yield from _list(title, items)
    yield from (Text(visible(note), "yellow") for note in target.notes)


def _list(title: str, items: list[str]) -> Iterator[RenderableType]:
    shown = [Padding(Text(visible(f"- {item}")), (0, 0, 0, 2)) for item in items[:_SHORT_LIST]]
    yield Group(Text(f"{title}: {len(items)}"), *shown)
    if len(items) > _SHORT_LIST:
        yield Padding(Text(f"… and {len(items) - _SHORT_LIST} more (--format json has them all)", "dim"), (0, 0, 0, 2))
