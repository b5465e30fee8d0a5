"""Calls of `pad_sequence`, and how the list of pieces that they pad is made."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, replace

from graphfix.source.module import Module

from ._match import block_of, is_atom, is_named, is_pure, is_whole, meaning, only_value, without_conversion
from ._reads import parent, without_host_moves

_PADS = "torch.nn.utils.rnn.pad_sequence"


@dataclass(frozen=True, slots=True)
class _Loop:
    """How a list is made: an element, what the loop binds and goes through, and the statements that only make it."""

    element: ast.expr
    target: ast.expr
    source: ast.expr
    statements: tuple[ast.stmt, ...] = ()


@dataclass(frozen=True, slots=True)
class Padded:
    """A call that pads pieces of the rows of `x`: the first `by[i]` elements of row `i`, or those where a mask `by[i]`
    is true. `count` is how many rows are read, where the code says it apart; `made` holds the statements that only make
    the list of pieces."""

    call: ast.Call
    x: ast.expr
    by: ast.expr
    masks: bool
    count: ast.expr | None
    value: ast.expr | None
    batch_first: bool
    made: tuple[ast.stmt, ...]


def padded_at(module: Module, node: ast.AST) -> Padded | None:
    """The call of `pad_sequence` in whose pieces, or in the making of whose list, a node stands."""
    function = module.function_of(node)
    for call in ast.walk(function) if function is not None else ():
        if isinstance(call, ast.Call) and meaning(module, call.func) == _PADS:
            padded = _padded(module, call)
            if padded is not None and any(node in ast.walk(one) for one in (call, *padded.made)):
                return padded
    return None


def _padded(module: Module, call: ast.Call) -> Padded | None:
    """What a call of `pad_sequence` pads; None for what the rule does not know."""
    names = ("sequences", "batch_first", "padding_value")
    given = dict(zip(names, call.args, strict=False)) | {one.arg: one.value for one in call.keywords}
    first, value = given.get("batch_first", ast.Constant(False)), given.get("padding_value")
    loop = _loop(module, given.get("sequences"))
    pieces = _pieces(module, loop) if loop is not None else None
    if loop is None or pieces is None or not given.keys() <= {*names} or not isinstance(first, ast.Constant):
        return None
    x, by, masks, count = pieces
    by, read = _without_list(module, by)
    parts = [part for part in (x, by, count, value) if part is not None]
    if not all(map(is_pure, parts)) or not is_atom(x) or not is_atom(by) or set(ast.unparse(by)) & {*'{"'}:
        return None
    return Padded(call, x, by, masks, count, value, bool(first.value), (*read, *loop.statements))


def _loop(module: Module, made: ast.expr | None) -> _Loop | None:
    """How a list is made: by a comprehension, with a name for it or without, or by a loop that only appends to it."""
    if isinstance(made, ast.ListComp):
        (loop, *more) = made.generators
        return None if more or loop.ifs or loop.is_async else _Loop(made.elt, loop.target, loop.iter)
    value = only_value(module, made) if isinstance(made, ast.Name) else None
    if not isinstance(made, ast.Name) or value is None:
        return None
    first, (_, *uses) = parent(module, value), _named_like(module, made)
    assert isinstance(first, ast.stmt)
    if uses == [made]:
        found = _loop(module, value) if isinstance(value, ast.ListComp) else None
        return found and replace(found, statements=(first,))
    after = [node for node in _following(module, first) if isinstance(node, ast.For)]
    append = after[0].body[0] if after and len(after[0].body) == 1 and not after[0].orelse else None
    call = append.value if isinstance(append, ast.Expr) else None
    if not isinstance(call, ast.Call) or len(call.args) != 1 or ast.unparse(call.func) != f"{made.id}.append":
        return None
    if ast.unparse(value) != "[]" or len(uses) != 2 or uses[0] not in ast.walk(call.func) or uses[1] is not made:
        return None
    return _Loop(call.args[0], after[0].target, after[0].iter, (first, after[0]))


def _pieces(module: Module, loop: _Loop) -> tuple[ast.expr, ast.expr, bool, ast.expr | None] | None:
    """The tensor of rows, what cuts them, whether that is a mask, and how many are read if the loop says it apart."""
    index, rows, count = _bound(loop)
    if not isinstance(loop.element, ast.Subscript):
        return None
    base, cut = loop.element.value, loop.element.slice
    first, *others = cut.elts if isinstance(cut, ast.Tuple) else [cut]
    x = _of_row(base, index, rows)
    if x is None and others and is_named(first, index):
        x, first, *others = base, *others
    masks = not isinstance(first, ast.Slice)
    if isinstance(first, ast.Slice):
        start = first.lower is None or (isinstance(first.lower, ast.Constant) and first.lower.value == 0)
        bound = first.upper if start and first.step is None else None
    else:
        bound = None if others else first
    by = _of_row(without_conversion(bound), index, rows) if bound is not None else None
    if x is None or by is None or not all(map(is_whole, others)):
        return None
    if count is not None and _is_number_of_rows(module, count, (x, by)):
        count = None
    return x, by, masks, count


def _bound(loop: _Loop) -> tuple[str, dict[str, ast.expr], ast.expr | None]:
    """The name of the row's number, what each other name is a row of, and how often the loop runs, if it is told."""
    call, names = loop.source, loop.target.elts if isinstance(loop.target, ast.Tuple) else [loop.target]
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.keywords:
        return "", {}, None
    said = [one.id if isinstance(one, ast.Name) else "" for one in names]
    if call.func.id == "range" and len(call.args) == len(said) == 1:
        return said[0], {}, call.args[0]
    if call.func.id == "enumerate" and len(call.args) == 1 and len(said) == 2:
        return said[0], {said[1]: call.args[0]}, None
    if call.func.id == "zip" and len(call.args) == len(said):
        return "", dict(zip(said, call.args, strict=True)), None
    return "", {}, None


def _of_row(node: ast.expr, index: str, rows: dict[str, ast.expr]) -> ast.expr | None:
    """What a node is one row of: `x` of `x[i]`, or of a name that a loop gives to the rows of `x`."""
    if isinstance(node, ast.Name):
        return rows.get(node.id)
    return node.value if isinstance(node, ast.Subscript) and index and is_named(node.slice, index) else None


def _is_number_of_rows(module: Module, count: ast.expr, tensors: Sequence[ast.expr]) -> bool:
    """Whether a number is that of the rows of one of the tensors for certain."""
    if isinstance(count, ast.Name) and (value := only_value(module, count)) is not None:
        count = value
    texts = [ast.unparse(one) for one in tensors]
    return ast.unparse(count) in {form.format(x) for x in texts for form in ("{}.shape[0]", "{}.size(0)", "len({})")}


def _without_list(module: Module, by: ast.expr) -> tuple[ast.expr, tuple[ast.stmt, ...]]:
    """The tensor whose elements a list holds, and the statement that only makes the list."""
    made: tuple[ast.stmt, ...] = ()
    if (
        isinstance(by, ast.Name)
        and (value := only_value(module, by)) is not None
        and without_host_moves(value) is not value
    ):
        statement = parent(module, value)
        if len(_named_like(module, by)) == 2 and isinstance(statement, ast.stmt):
            by, made = value, (statement,)
    return without_host_moves(by), made


def _named_like(module: Module, name: ast.Name) -> list[ast.Name]:
    """Where a local name stands in its function."""
    function = module.function_of(name)
    found = ast.walk(function) if function is not None else ()
    places = [one for one in found if isinstance(one, ast.Name) and one.id == name.id]
    return sorted(places, key=lambda one: (one.lineno, one.col_offset))


def _following(module: Module, statement: ast.stmt) -> list[ast.stmt]:
    """The next statement of the block, if there is one."""
    block = block_of(next(module.parents(statement)), statement)
    return block[block.index(statement) + 1 :][:1]
