"""What the rules on numbers share: a clamp between a number and a tensor, which torch takes as two only."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from graphfix.source.module import Module

from ._match import dotted

Bounds = tuple[list[ast.expr], ast.expr, ast.expr]

_CLAMPS = frozenset({"clamp", "clip", "clamp_", "clip_"})


def two_bounds(module: Module, call: ast.Call) -> Bounds | None:
    """The tensors before the bounds, and the lower and upper bound, of a clamp that has both."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in _CLAMPS:
        return None
    if any(isinstance(one, ast.Starred) for one in call.args):
        return None
    is_function = (module.analysis.meaning(call.func) or dotted(call.func)).rpartition(".")[0] == "torch"
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    if not set(named) <= {"min", "max"}:
        return None
    first, rest = (call.args[:1], call.args[1:]) if is_function else ([], call.args)
    low = rest[0] if rest else named.get("min")
    high = rest[1] if len(rest) > 1 else named.get("max")
    none = (one for one in (low, high) if isinstance(one, ast.Constant) and one.value is None)
    return None if low is None or high is None or next(none, None) is not None else (first, low, high)


def as_two(call: ast.Call, first: Sequence[ast.expr], low: str, high: str) -> tuple[str, dict[str, ast.AST]]:
    """Template and parts of one clamp after the other, from the templates of the bounds."""
    assert isinstance(call.func, ast.Attribute)
    parts: dict[str, ast.AST] = {"owner": call.func.value}
    if first:
        parts["first"] = first[0]
    name, given = call.func.attr, "{first}, " if first else ""
    return f"{{owner}}.{name}({given}min={low}).{name}(max={high})", parts
