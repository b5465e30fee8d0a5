"""What the rules on windows share: an index with a slice between bounds that are tensors, as a mask."""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence

from graphfix.source.module import Module
from graphfix.source.values import Kind

from ._numbers import Numbers


def dim_of(parts: Sequence[ast.expr], part: ast.expr) -> int:
    """The dimension that a part of an index is for, from the end where dots stand before it."""
    at = next(number for number, one in enumerate(parts) if one is part)
    dots = any(isinstance(one, ast.Constant) and one.value is ... for one in parts[:at])
    return at - len(parts) if dots else at


def are_plain(module: Module, others: Sequence[ast.expr]) -> bool:
    """Whether parts of an index are slices, dots and numbers."""
    unknown = [one for one in others if not isinstance(one, ast.Slice | ast.Constant)]
    return all(module.analysis.value(one).kind in (Kind.PLAIN, Kind.UNKNOWN) for one in unknown)


def within(numbers: Numbers, name: str, part: ast.Slice) -> str:
    """The condition that a position `name` lies in a slice; what must hold of its bounds goes to `numbers.guards`.

    A negative bound counts from the end, which the condition does not.
    """
    conditions = []
    for sign, bound in ((">=", part.lower), ("<", part.upper)):
        if bound is None or (sign == ">=" and ast.unparse(bound) == "0"):
            continue
        reads = numbers.reads(bound)
        text = numbers.template(bound) if reads else ast.unparse(bound)
        conditions.append(f"{name} {sign} {text}")
        if reads or numbers.module.analysis.value(bound).kind is not Kind.PLAIN:
            numbers.guards.append(f"{text} >= 0")
    return all_of(conditions)


def all_of(conditions: Collection[str]) -> str:
    """One condition of several, as tensors join them."""
    return " & ".join(f"({one})" for one in conditions) if len(conditions) > 1 else "".join(conditions)


def refusal(numbers: Numbers, place: ast.expr) -> str:
    """The assertion, as a template, of what must hold of the bounds of a place; empty where nothing must."""
    guards = list(dict.fromkeys(numbers.guards))
    said = f'"graphfix: {ast.unparse(place)} has a negative bound"'
    return f"{{torch}}._assert_async({all_of(guards)}, {said})" if guards else ""
