"""Cuts lines that are too long where a reader would, and never loses a character."""

from __future__ import annotations

from collections.abc import Sequence

from graphfix.report._lines import cells

PROSE = (" ", "_=.(")
CODE = (" ", ",([{.", "_=")
PATH = ("/", "_")
NAME = (".", "_")


def fold(text: str, width: int, after: Sequence[str] = ()) -> list[str]:
    """Pieces that join to the text, each at most `width` cells before its trailing blanks.

    `after` names the characters to cut behind, the best first; where none is near the end, the cut is where it is.
    """
    pieces, piece = [], ""
    for character in text:
        if piece and character != " " and cells(piece + character) > width:
            cut = _cut(piece, width, after)
            pieces.append(piece[:cut])
            piece = piece[cut:]
        piece += character
    return [*pieces, piece]


def _cut(piece: str, width: int, after: Sequence[str]) -> int:
    for marks in after:
        cut = max(piece.rfind(mark) for mark in marks) + 1
        if cut >= width // 4:
            return cut
    return len(piece)
