"""Code and paths as rich renderables that fold where a reader would, and never lose a character."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

from graphfix.report._fold import CODE, fold
from graphfix.report._marks import Marked, visible
from graphfix.report._text_findings import GUILTY

_NARROWEST = 16


@dataclass(frozen=True, slots=True)
class Folded:
    """Plain text that is cut, not wrapped: a path (behind its slashes), a line of a diff or of a stack."""

    text: str
    style: str = ""
    after: Sequence[str] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in visible(self.text).expandtabs(4).split("\n"):
            for piece in fold(line, options.max_width, self.after):
                yield _line(Text(piece.rstrip(" "), self.style))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return _measure(self.text, options)


@dataclass(frozen=True, slots=True)
class Code:
    """The user's line with the guilty part coloured, or underlined with carets where there is no colour."""

    marked: Marked

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        start, end = len(self.marked.before), len(self.marked.before) + len(self.marked.guilty)
        position = 0
        for piece in fold(self.marked.line, options.max_width, CODE):
            yield from _coded(piece, start - position, end - position, carets=console.color_system is None)
            position += len(piece)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return _measure(self.marked.line, options)


def _coded(piece: str, start: int, end: int, *, carets: bool) -> RenderResult:
    start, end = max(start, 0), min(end, len(piece))
    text = Text(piece.rstrip(" "))
    if start < end:
        text.stylize(GUILTY, start, end)
    yield _line(text)
    if carets and start < end:
        yield _line(Text(" " * cell_len(piece[:start]) + "^" * max(1, cell_len(piece[start:end]))))


def _line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ignore"
    return text


def _measure(text: str, options: ConsoleOptions) -> Measurement:
    longest = max(cell_len(line) for line in text.split("\n"))
    return Measurement(min(longest, _NARROWEST), longest).with_maximum(options.max_width)
