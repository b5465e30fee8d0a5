"""Lays a conditional expression out over several lines where one line would be too long, as formatters do."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from graphfix.source._places import Places
from graphfix.source.module import Module

LONGEST = 120
"""A line may have so many characters; those that were longer before may stay so."""


def too_long(text: str, module: Module) -> int:
    """By how many characters the longest line is too long that the text has and the module has not; 0 for none."""
    longest = max(map(len, text.split("\n")))
    if longest <= LONGEST:
        return 0
    known = set(module.lines)
    lines = (line for line in text.replace("\r\n", "\n").split("\n") if line not in known)
    return max(0, max(map(len, lines), default=0) - LONGEST)


def wrapped(
    places: Places, tree: cst.Module, original: cst.BaseExpression, made: cst.BaseExpression, margin: str
) -> Iterator[tuple[cst.CSTNode, cst.CSTNode]]:
    """Ways to lay `made` out: pairs of a node to replace and what to put there. `margin` begins the line of the place.

    None for what is no conditional expression.
    """
    if not isinstance(made, cst.IfExp):
        return
    bare = made.with_changes(lpar=[], rpar=[])
    inner, outer = _line(margin + tree.default_indent), _line(margin)
    broken = bare.with_changes(whitespace_before_if=inner, whitespace_before_else=inner)
    around = places.around(original)
    for new in (bare, broken):
        if len(around) > 1 and _is_only_argument(around[0], around[1]) and isinstance(around[1], cst.Call):
            argument = cst.Arg(new, whitespace_after_arg=outer)
            yield around[1], around[1].with_changes(args=[argument], whitespace_before_args=inner)
        else:
            left, right = cst.LeftParen(whitespace_after=inner), cst.RightParen(whitespace_before=outer)
            yield original, new.with_changes(lpar=[left], rpar=[right])


def _is_only_argument(argument: cst.CSTNode, call: cst.CSTNode) -> bool:
    positional = isinstance(argument, cst.Arg) and argument.keyword is None and not argument.star
    return positional and isinstance(call, cst.Call) and len(call.args) == 1


def _line(margin: str) -> cst.ParenthesizedWhitespace:
    return cst.ParenthesizedWhitespace(last_line=cst.SimpleWhitespace(margin))
