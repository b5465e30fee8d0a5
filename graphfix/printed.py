"""Reads a printed stack: places, the lines of source, and the carets below them."""

from __future__ import annotations

import linecache
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

_HEADINGS = (
    re.compile(r"^\s*Original traceback:", re.MULTILINE),  # of the operation that a backend failed on
    re.compile(
        r"^\s*(?:User code traceback:|(?:Graph break: )?from user code(?: at)?:"
        r"|The graph break occurred in the following user code:)",
        re.MULTILINE,
    ),
)
_FRAME = re.compile(
    r'^(?P<indent>\s*)File "(?P<path>[^"]+)", line (?P<line>\d+), in (?P<function>\S+)(?:[ \t]+(?P<code>\S.*))?$'
)
_CARETS = re.compile(r"^\s*[~^]*\^[~^]*\s*$")
_ENDS = re.compile(
    r"^\s*(?:Traceback |NOTE: |Most recent bytecode|Stack variable source|Set TORCH|Use tlparse|Developer debug"
    r"|During handling|The above exception|(?:\S+\.)?Unsupported: )|\(most recent call last\)|Hint: "
)

_FOREIGN = 3
"""Lines of other loggers that may stand inside a stack before it counts as ended."""


@dataclass(frozen=True, slots=True)
class PrintedFrame:
    """One frame as it is printed, `code` without its indentation.

    `start` and `end` are characters of `code` between which carets stand; `end` is None where they reach its end.
    """

    path: str
    line: int
    function: str = "?"
    code: str | None = None
    start: int | None = None
    end: int | None = None


def stack_of(record: str) -> list[PrintedFrame]:
    """The user's stack, outermost frame first; empty where the record prints none."""
    for heading in _HEADINGS:
        if (begin := heading.search(record)) and (found := list(_frames(record[begin.end() :].splitlines()))):
            return found
    return []


def frames_in(text: str) -> Iterator[dict[str, Any]]:
    """Every frame that a traceback prints, outermost first; columns in UTF-8 bytes of the source line.

    They are None without carets, and where the source is not here.
    """
    for frame in _frames(text.splitlines()):
        source = linecache.getline(frame.path, frame.line)
        columns: dict[str, int | None] = {"column": None, "end_line": None, "end_column": None}
        if frame.code is not None and frame.start is not None and frame.code == source.strip():
            indent = len(source) - len(source.lstrip())
            end = len(frame.code) if frame.end is None else frame.end
            start, end = (len(source[: indent + place].encode()) for place in (frame.start, end))
            columns = {"column": start, "end_line": frame.line, "end_column": end}
        yield {"path": frame.path, "line": frame.line, "function": frame.function, **columns}


def _frames(lines: list[str]) -> Iterator[PrintedFrame]:
    frame, indent, foreign = None, 0, 0
    code_line: str | None = None
    for line in lines:
        if found := _FRAME.match(line):
            if frame:
                yield frame
            frame, indent, code_line = _frame(found), len(found["indent"]), None
            foreign = 0
        elif _ENDS.search(line):
            break
        elif frame and code_line is None and frame.code is None and _belongs(line, indent):
            frame, code_line = replace(frame, code=line.strip()), line
        elif frame and code_line is not None and frame.start is None and _CARETS.match(line):
            frame = _marked(frame, code_line, line)
        elif line.strip() and not line.startswith(" "):
            foreign += 1
            if foreign > _FOREIGN:
                break
    if frame:
        yield frame


def _frame(found: re.Match[str]) -> PrintedFrame:
    return PrintedFrame(found["path"], int(found["line"]), found["function"], found["code"])


def _belongs(line: str, indent: int) -> bool:
    """Whether a line below a frame is its source: indented more, or as little where indentation was lost."""
    own = len(line) - len(line.lstrip())
    return bool(line.strip()) and (own > indent or indent == 0)


def _marked(frame: PrintedFrame, code_line: str, carets: str) -> PrintedFrame:
    """The frame with its carets; left alone where the indentation that they count from was lost."""
    indent = len(code_line) - len(code_line.lstrip())
    code = code_line.strip()
    first = len(carets) - len(carets.lstrip()) - indent
    start, end = (_character(code, cell) for cell in (first, len(carets.rstrip()) - indent))
    if indent == 0 or start is None:
        return frame
    return replace(frame, start=start, end=end if end is not None and end < len(code) else None)


def _character(code: str, cell: int) -> int | None:
    """The character that begins at a cell of a terminal, where East Asian characters take two."""
    width = 0
    for number, character in enumerate(code):
        if width >= cell:
            return number if width == cell else None
        width += 2 if unicodedata.east_asian_width(character) in "FW" else 1
    return len(code) if width == cell else None
