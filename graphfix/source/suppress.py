"""`# graphfix: ignore[GF101]` comments: where they stand, which lines they cover, what they silence."""

from __future__ import annotations

import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

from graphfix.model import Location
from graphfix.source.module import Module

UNUSED, UNUSED_NAME = "GF001", "unused-suppression"
"""What a comment is reported as that silences nothing."""

_COMMENT = re.compile(r"#\s*graphfix:\s*ignore(?P<file>-file)?(?:\s*\[(?P<codes>[^\]]*)\]|(?!\s*[\[(])(?![\w-]))")
_BLANK = frozenset({tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER})


@dataclass(frozen=True, slots=True)
class Suppression:
    """One comment. `codes` holds codes, prefixes of codes and names of rules; None silences every rule.

    The comment stands at `line`, `column` to `end_column`, in a line that reads `text`; it covers the lines `first` to
    `last`, or the whole file where `last` is None.
    """

    line: int
    column: int
    end_column: int
    text: str
    first: int
    last: int | None
    codes: tuple[str, ...] | None = None

    def silences(self, location: Location, code: str, name: str = "") -> bool:
        """Whether it silences a rule at a place whose lines it touches."""
        return self.covers(location) and (self.codes is None or any(names(part, code, name) for part in self.codes))

    def covers(self, location: Location) -> bool:
        """Whether the place touches the lines that the comment is for."""
        return self.last is None or (location.line <= self.last and self.first <= (location.end_line or location.line))


def names(part: str, code: str, name: str = "") -> bool:
    """Whether a code, prefix or name that a user wrote stands for the rule."""
    return code.startswith(part) or part == name


def is_suppressed(module: Module, line: int, code: str, name: str = "") -> bool:
    """Whether a comment silences this rule (by code, code prefix or name), or all rules, at a line."""
    return any(found.silences(Location(module.path, line), code, name) for found in suppressions(module))


def suppressions(module: Module) -> tuple[Suppression, ...]:
    """The comments of a module that silence rules, in order. A string that looks like one is none.

    At the end of a line: for that line, on a statement's first or last line for the whole statement (its head, where it
    has a body). On a line of its own: for the next line with code, or the statement that begins there.
    """
    if "graphfix:" not in module.text:
        return ()
    return tuple(_found(module))


def _found(module: Module) -> Iterator[Suppression]:
    statement: list[tokenize.TokenInfo] = []
    for token in _tokens(module):
        statement.append(token)
        if token.type in (tokenize.NEWLINE, tokenize.ENDMARKER):
            yield from _in_statement(module, statement)
            statement = []


def _tokens(module: Module) -> Iterator[tokenize.TokenInfo]:
    """The tokens, up to where the text stops being Python. Lines are counted as the parser counts them."""
    try:
        yield from tokenize.generate_tokens((line + "\n" for line in module.lines).__next__)
    except (tokenize.TokenError, SyntaxError):
        return


def _in_statement(module: Module, tokens: list[tokenize.TokenInfo]) -> Iterator[Suppression]:
    """The comments before and in one statement; blank lines and comments before it belong to it."""
    lines = sorted({line for token in tokens if token.type not in _BLANK for line in _lines(token)})
    for token in tokens:
        if token.type == tokenize.COMMENT:
            first, last = _covered(token.start[0], lines)
            for match in _COMMENT.finditer(token.string):
                yield _suppression(module, token, match, first, last)


def _lines(token: tokenize.TokenInfo) -> range:
    return range(token.start[0], token.end[0] + 1)


def _covered(line: int, lines: list[int]) -> tuple[int, int]:
    """What a comment at `line` covers in, or before, a statement with code on `lines`."""
    whole = lines[-1:] if line in lines else []
    at = next((number for number in lines if number >= line), line)
    return (lines[0], lines[-1]) if at in [*lines[:1], *whole] else (at, at)


def _suppression(module: Module, token: tokenize.TokenInfo, match: re.Match[str], first: int, last: int) -> Suppression:
    line, column = token.start
    written = match["codes"]
    codes = None if written is None else tuple(part.strip() for part in written.split(",") if part.strip())
    whole = match["file"] is not None
    return Suppression(
        line,
        column + match.start(),
        column + match.end(),
        module.line(line),
        1 if whole else first,
        None if whole else last,
        codes,
    )
