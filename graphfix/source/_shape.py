"""Whether two pieces of code mean the same: their syntax trees without positions, one part swapped for another."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

Part = ast.AST | Sequence[ast.stmt]
"""What a slot may stand for: an expression, a statement or statements."""

Swaps = Mapping[ast.AST, Sequence[ast.AST]]

_SILENT = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
"""Fields that say nothing about what the code does."""


def shape(
    node: object, slots: Mapping[str, Part] = MappingProxyType({}), swaps: Swaps = MappingProxyType({})
) -> tuple[object, ...]:
    """The code as nested tuples, to be compared by `==`.

    A name in `slots` stands for that part, a node in `swaps` for those nodes (in which `slots` hold, `swaps` do not).
    `a and (b and c)` is `a and b and c`: the same values are asked in the same order.
    """
    if isinstance(node, list):
        return tuple(found for item in node for found in _shapes(item, slots, swaps))
    if not isinstance(node, ast.AST):
        return (type(node), repr(node))
    if node in swaps:
        return shape(swaps[node][0], slots)
    if isinstance(node, ast.Name) and node.id in slots:
        return shape(slots[node.id])
    fields = [shape(getattr(node, field, None), slots, swaps) for field in node._fields if field not in _SILENT]
    if isinstance(node, ast.BoolOp):
        fields = [fields[0], tuple(_flat(fields[0], fields[1]))]
    return (type(node), *fields)


def _shapes(item: object, slots: Mapping[str, Part], swaps: Swaps) -> Iterator[object]:
    """The shapes of one item of a list: a swapped statement, or a slot alone on its line, may become several."""
    if isinstance(item, ast.stmt) and item in swaps:
        for new in swaps[item]:
            yield from _shapes(new, slots, {})
    elif (part := statements_in(item, slots)) is not None:
        yield from map(shape, part)
    else:
        yield shape(item, slots, swaps)


def statements_in(line: object, slots: Mapping[str, Part]) -> Sequence[ast.stmt] | None:
    """The statements that a line of a template stands for, where it is a slot for statements and nothing else."""
    name = line.value.id if isinstance(line, ast.Expr) and isinstance(line.value, ast.Name) else None
    part = slots.get(name) if name else None
    if isinstance(part, ast.stmt):
        return [part]
    return None if part is None or isinstance(part, ast.AST) else part


def _flat(operator: object, values: Iterable[object]) -> Iterator[object]:
    for value in values:
        if isinstance(value, tuple) and value[0] is ast.BoolOp and value[1] == operator:
            yield from value[2]
        else:
            yield value
