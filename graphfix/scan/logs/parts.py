"""The parts of statements that a break may be about whatever they are made of: conditions, iterables, contexts."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from enum import Enum

from graphfix.source.module import Module


class Part(Enum):
    """What a break is about, by its id."""

    CONDITION = "GB0170 GB0035"
    ITERABLE = "GB0811"
    CONTEXT = "GB0142"


def part_on(module: Module, part: Part, line: int, starting: Sequence[ast.expr] | None) -> ast.expr | None:
    """The one part of its kind on `line`, None where there are several.

    Of a condition `a or b` it is the operand, if `starting` holds what it can be, or if only one stands on the line.
    """
    parts = [
        (whole, list(_operands(whole)) if _is_tested(module, whole) else [whole]) for whole in _parts(module, part)
    ]
    if starting is not None:
        fitting = [operand for _, operands in parts for operand in operands if operand in starting]
        return fitting[0] if len(fitting) == 1 else None
    here = [(whole, [operand for operand in operands if operand.lineno == line]) for whole, operands in parts]
    found = [(whole, operands) for whole, operands in here if operands]
    if len(found) != 1:
        return None
    whole, operands = found[0]
    return operands[0] if len(operands) == 1 else whole


def _parts(module: Module, part: Part) -> Iterator[ast.expr]:
    """All parts of the kind in a module."""
    for node in ast.walk(module.tree):
        if part is Part.CONDITION:
            yield from _conditions(module, node)
        elif part is Part.ITERABLE and isinstance(node, ast.For | ast.comprehension):
            yield node.iter
        elif part is Part.CONTEXT and isinstance(node, ast.withitem):
            yield node.context_expr


def _conditions(module: Module, node: ast.AST) -> Iterator[ast.expr]:
    """What decides in this node where to go on; Python tests `a or b` as a whole where only its value is wanted."""
    if isinstance(node, ast.If | ast.While | ast.IfExp | ast.Assert):
        yield node.test
    elif isinstance(node, ast.comprehension):
        yield from node.ifs
    elif isinstance(node, ast.match_case) and node.guard is not None:
        yield node.guard
    elif isinstance(node, ast.BoolOp) and not _is_tested(module, node):
        yield node


def _is_tested(module: Module, node: ast.expr) -> bool:
    """Whether the expression is a condition, or an operand of `and`, `or` or `not` in one."""
    parent = next(module.parents(node), None)
    if isinstance(parent, ast.BoolOp) or (isinstance(parent, ast.UnaryOp) and isinstance(parent.op, ast.Not)):
        return _is_tested(module, parent)
    return parent is not None and any(node is one for one in _conditions(module, parent))


def _operands(condition: ast.expr) -> Iterator[ast.expr]:
    """What jumps are made for: `a`, `b` and `c` of `a or not (b and c)`."""
    if isinstance(condition, ast.BoolOp):
        for value in condition.values:
            yield from _operands(value)
    elif isinstance(condition, ast.UnaryOp) and isinstance(condition.op, ast.Not):
        yield from _operands(condition.operand)
    else:
        yield condition
