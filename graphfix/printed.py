"""Reads the frames of a printed Python traceback, with columns where carets mark them."""

from __future__ import annotations

import linecache
import re
from collections.abc import Iterator
from typing import Any

_FRAME = re.compile(r'^\s*File "(?P<path>[^"]+)", line (?P<line>\d+), in (?P<function>.+)$')
_CARETS = re.compile(r"^\s*[~^]*\^[~^]*$")


def frames_in(text: str) -> Iterator[dict[str, Any]]:
    """Every frame that `text` prints, outermost first; columns in UTF-8 bytes, None without carets.

    Carets count from the printed line, which lost its indentation: the source line, where it is here, gives it back.
    """
    lines = [*text.splitlines(), "", ""]
    for line, code, marks in zip(lines, lines[1:], lines[2:], strict=False):
        if (match := _FRAME.match(line)) is None:
            continue
        yield {
            "path": match["path"],
            "line": int(match["line"]),
            "function": match["function"],
            **_columns(match["path"], int(match["line"]), code, marks),
        }


def _columns(path: str, number: int, code: str, marks: str) -> dict[str, int | None]:
    source = linecache.getline(path, number)
    if not _CARETS.match(marks) or code.strip() != source.strip():
        return {"column": None, "end_line": None, "end_column": None}
    first = len(source) - len(source.lstrip()) - (len(code) - len(code.lstrip()))
    start = len(marks) - len(marks.lstrip()) + first
    end = len(marks.rstrip()) + first
    return {
        "column": len(source[:start].encode()),
        "end_line": number,
        "end_column": len(source[:end].encode()),
    }
