"""The user's own line, taken apart around the guilty expression and safe to show."""

from __future__ import annotations

from typing import NamedTuple

from graphfix.model import Finding, Location

_PICTURES = {code: 0x2400 + code for code in range(0x20) if code not in (0x09, 0x0A)}
# Bidirectional controls reorder what is shown (CVE-2021-42574); lone surrogates and C1 have no glyph.
_UNSHOWABLE = (*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xD800, 0xE000))
_VISIBLE = {**_PICTURES, 0x7F: 0x2421, 0x2028: 0xFFFD, 0x2029: 0xFFFD, **dict.fromkeys(_UNSHOWABLE, 0xFFFD)}

_TAB = "    "


class Marked(NamedTuple):
    """A line of code in three parts; `guilty` is empty where nothing in particular is to blame."""

    before: str
    guilty: str
    after: str

    @property
    def line(self) -> str:
        return "".join(self)


def visible(text: str) -> str:
    """The text with a glyph for each control character (newline and tab stay), so that none acts on a terminal."""
    return text.translate(_VISIBLE)


def mark(finding: Finding) -> Marked:
    """The finding's line without its indentation, tabs as four spaces, split where the location says.

    A location that spans lines is marked to the end of the first; one without columns is not marked.
    """
    line = (finding.code.split("\n", 1)[0]).rstrip()
    start, end = _span(line, finding.location)
    indent = len(line) - len(line.lstrip())
    parts = line[indent:start], line[max(start, indent) : end], line[max(end, indent) :]
    return Marked(*(visible(part).replace("\t", _TAB) for part in parts))


def _span(line: str, location: Location) -> tuple[int, int]:
    if location.column is None:
        return len(line), len(line)
    start = min(location.column, len(line))
    same_line = location.end_line in (None, location.line)
    end = location.end_column if same_line else len(line)
    return start, min(max(start, start if end is None else end), len(line))
