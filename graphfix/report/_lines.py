"""Lines for a terminal made without rich, whose import takes longer than a scan of one file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_CODES = {
    "bold": "1", "dim": "2", "green": "32", "yellow": "33", "cyan": "36", "bold red reverse": "1;7;31",
}  # fmt: skip
_WORD = re.compile(r"\s*\S+\s*")

Span = tuple[int, int, str]
"""From where to where, and in which style."""


def cells(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def styled(text: str, spans: Sequence[Span], start: int = 0) -> str:
    """The part of a text that begins at `start`, with ANSI codes around the spans, which are those of the text."""
    made, at = "", 0
    for begin, end, style in spans:
        first, last = max(begin - start, at), min(end - start, len(text))
        if first < last:
            made += f"{text[at:first]}\x1b[{_CODES[style]}m{text[first:last]}\x1b[0m"
            at = last
    return made + text[at:]


def wrapped(text: str, width: int, spans: Sequence[Span] = ()) -> Iterator[str]:
    """The lines of at most `width` columns that a text fills, cut between words where it can be."""
    if "\n" in text:
        for line in text.split("\n"):
            yield from wrapped(line, width)
    elif cells(text) <= width:
        yield styled(text, spans)
    else:
        for start, end in _lines(text, width):
            yield styled(text[start:end].rstrip(), spans, start)


def _lines(text: str, width: int) -> Iterator[tuple[int, int]]:
    begin = used = 0
    for word in _WORD.finditer(text):
        needed = cells(word[0].rstrip())
        if used + needed > width:
            if used and needed <= width:
                yield begin, word.start()
                begin = used = 0
                begin = word.start()
            for at in range(word.start(), word.end()) if needed > width else ():
                if used + cells(text[at]) > width:
                    yield begin, at
                    begin, used = at, 0
                used += cells(text[at])
            if needed > width:
                continue
        used += cells(word[0])
    yield begin, len(text)
