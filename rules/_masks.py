"""What the rules on masks share: reads through a mask, and the mask in the shape of what it selects from."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from graphfix.source.module import Module

from ._match import dotted, is_pure, last_value, same

OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**", ast.FloorDiv: "//", ast.Mod: "%"}
"""Operators of in-place updates."""


def masked_read(node: ast.AST) -> tuple[ast.expr, ast.expr] | None:
    """The tensor and the mask of `x[m]`, `torch.masked_select(x, m)` or `x.masked_select(m)`."""
    if isinstance(node, ast.Subscript):
        if isinstance(node.slice, ast.Tuple | ast.Slice | ast.Constant) or not is_pure(node.slice):
            return None
        return (node.value, node.slice) if is_pure(node.value) else None
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.keywords:
        return None
    if node.func.attr != "masked_select":
        return None
    parts = [*node.args] if dotted(node.func.value) == "torch" else [node.func.value, *node.args]
    return (parts[0], parts[1]) if len(parts) == 2 and all(map(is_pure, parts)) else None


def mask_of_places(node: ast.AST) -> ast.expr | None:
    """The mask whose true places a call gives: `m` of `m.nonzero()`, `torch.argwhere(m)`, `torch.where(m)`."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return None
    of_torch = dotted(node.func.value) == "torch"
    parts = [*node.args] if of_torch else [node.func.value, *node.args]
    known = ("nonzero", "argwhere", "where") if of_torch else ("nonzero", "argwhere")
    named = all(keyword.arg == "as_tuple" for keyword in node.keywords)
    return parts[0] if len(parts) == 1 and named and node.func.attr in known else None


def gives_tuple(call: ast.Call) -> bool:
    """Whether such a call returns one tensor of places for each dimension."""
    assert isinstance(call.func, ast.Attribute)
    asked = (isinstance(one.value, ast.Constant) and one.value.value is True for one in call.keywords)
    return call.func.attr == "where" or any(asked)


def reads_through(node: ast.AST, mask: ast.expr) -> Iterator[ast.expr]:
    """The reads in an expression that select by this very mask."""
    for part in ast.walk(node):
        found = masked_read(part)
        if found is not None and same(found[1], mask) and isinstance(part, ast.expr):
            yield part


def has_shape_of(module: Module, mask: ast.expr, tensor: ast.expr, depth: int = 4) -> bool:
    """Whether a mask has the shape of a tensor for certain: `x > 0`, `~torch.isnan(x)`, `m.expand_as(x)`."""
    if same(mask, tensor):
        return True
    if isinstance(mask, ast.Compare) and len(mask.ops) == 1:
        sides = [mask.left, *mask.comparators]
        of_it = [has_shape_of(module, side, tensor, depth) for side in sides]
        return any(of_it) and all(yes or _is_number(side) for side, yes in zip(sides, of_it, strict=True))
    if isinstance(mask, ast.UnaryOp):
        return has_shape_of(module, mask.operand, tensor, depth)
    if isinstance(mask, ast.BinOp):
        return all(has_shape_of(module, side, tensor, depth) or _is_number(side) for side in (mask.left, mask.right))
    if isinstance(mask, ast.Call) and isinstance(mask.func, ast.Attribute) and not mask.keywords:
        if mask.func.attr == "expand_as":
            return len(mask.args) == 1 and same(mask.args[0], tensor)
        if mask.func.attr in {"to", "contiguous", "clone", "detach"}:
            return has_shape_of(module, mask.func.value, tensor, depth)
        if mask.func.attr not in {"isnan", "isinf", "isfinite", "bool", "abs", "gt", "ge", "lt", "le", "eq", "ne"}:
            return False
        parts = [*mask.args] if dotted(mask.func.value) == "torch" else [mask.func.value, *mask.args]
        return bool(parts) and has_shape_of(module, parts[0], tensor, depth) and all(map(_is_number, parts[1:]))
    if isinstance(mask, ast.Name) and depth and (value := last_value(module, mask)) is not None:
        return has_shape_of(module, value, tensor, depth - 1)
    return False


def _is_number(node: ast.expr) -> bool:
    node = node.operand if isinstance(node, ast.UnaryOp) else node
    return isinstance(node, ast.Constant)


def mask_text(module: Module, tensor: ast.expr, mask: ast.expr) -> str:
    """The mask as `where` takes it beside the tensor: with a dimension of size one for each that it leaves whole."""
    of, by = ast.unparse(tensor), ast.unparse(mask)
    if has_shape_of(module, mask, tensor):
        return by
    inner = by if isinstance(mask, ast.Name | ast.Attribute) else f"({by})"
    return f"{inner}[(...,) + (None,) * ({of}.dim() - {inner}.dim())]"


class Put:
    """Copies an expression with other code in place of some of its nodes."""

    def __init__(self, texts: Mapping[ast.expr, str]) -> None:
        self._texts = texts

    def text(self, node: ast.AST) -> str:
        """The expression's text."""
        return ast.unparse(self._copy(node))

    def _copy(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.expr) and node in self._texts:
            return ast.parse(self._texts[node], mode="eval").body
        parts: dict[str, object] = {}
        for field, value in ast.iter_fields(node):
            if isinstance(value, list):
                parts[field] = [self._copy(one) if isinstance(one, ast.AST) else one for one in value]
            else:
                parts[field] = self._copy(value) if isinstance(value, ast.AST) else value
        return type(node)(**parts)
