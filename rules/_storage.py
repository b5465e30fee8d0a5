"""Which tensors may share their storage, as far as the text tells."""

from __future__ import annotations

import ast
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

from graphfix.source.flow import Definition
from graphfix.source.module import Module
from graphfix.source.values import Kind

from ._match import dotted

Storage = frozenset[Hashable]
"""What a tensor may lie in: two tensors with nothing in common lie apart."""
_Lookup = Callable[[str], Storage]

_VIEW_ATTRIBUTES = frozenset({"T", "mT", "H", "mH", "real", "imag", "data"})
_VIEW_METHODS = frozenset(
    """
    view view_as reshape reshape_as t transpose permute movedim swapaxes swapdims squeeze unsqueeze flatten unflatten
    ravel expand expand_as broadcast_to select narrow unfold diagonal chunk split tensor_split unbind detach contiguous
    requires_grad_ to type type_as float double half bfloat16 int long short bool cpu cuda
    """.split()
)
_MAX_DEPTH = 6
"""Definitions further back than this count as tensors of their own."""


def storage(module: Module, node: ast.expr, lookup: _Lookup) -> Storage:
    """Where the value of an expression may lie; `lookup` tells it of names."""
    if isinstance(node, ast.Name):
        return lookup(node.id)
    if isinstance(node, ast.Subscript):
        return _of_part(module, node, lookup)
    if isinstance(node, ast.Attribute):
        return storage(module, node.value, lookup) if node.attr in _VIEW_ATTRIBUTES else Storage({ast.unparse(node)})
    if isinstance(node, ast.IfExp):
        return storage(module, node.body, lookup) | storage(module, node.orelse, lookup)
    if isinstance(node, ast.BoolOp):
        return Storage().union(*(storage(module, value, lookup) for value in node.values))
    if isinstance(node, ast.Call) and (viewed := _viewed(node)) is not None:
        return storage(module, viewed, lookup)
    return Storage({node})


def _of_part(module: Module, node: ast.Subscript, lookup: _Lookup) -> Storage:
    """An index by a tensor copies, a key names an element of its own, any other index is a view."""
    if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
        return Storage({ast.unparse(node)})
    if module.analysis.value(node.slice).kind is Kind.TENSOR:
        return Storage({node})
    return storage(module, node.value, lookup)


def _viewed(call: ast.Call) -> ast.expr | None:
    """The tensor that a call gives a view of, or may give as it is."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in _VIEW_METHODS:
        return None
    if dotted(call.func.value) != "torch":
        return call.func.value
    return call.args[0] if call.args else None


def storage_before(module: Module, loop: ast.stmt, name: str) -> Storage:
    """Where a name's value may lie when a loop begins."""
    inside = set(ast.walk(loop))
    env = module.analysis.flow.environment(loop) or {}
    return _defined(module, [one for one in env.get(name, ()) if one.node not in inside], name, 0)


def _defined(module: Module, definitions: Sequence[Definition], name: str, depth: int) -> Storage:
    def of(one: Definition) -> Storage:
        def lookup(other: str) -> Storage:
            return _defined(module, one.env.get(other, ()), other, depth + 1)

        if isinstance(one.node, ast.AugAssign):
            return lookup(name)
        if not isinstance(one.node, ast.expr):
            return Storage({one.node})
        return _item(module, one.node, one.path, lookup)

    if depth > _MAX_DEPTH or not definitions:
        return Storage({name})
    return Storage().union(*map(of, definitions))


def _item(module: Module, node: ast.expr, path: Sequence[int | str], lookup: _Lookup) -> Storage:
    """Where an element of a value may lie: results of a call lie apart, rows of a tensor do not."""
    if path and isinstance(path[0], int) and isinstance(node, ast.Tuple | ast.List) and path[0] < len(node.elts):
        return _item(module, node.elts[path[0]], path[1:], lookup)
    found = storage(module, node, lookup)
    if path and found == {node} and module.analysis.value(node).kind is not Kind.TENSOR:
        return Storage({(node, *path)})
    return found


def storage_behind(module: Module, body: Sequence[ast.stmt], start: Mapping[str, Storage]) -> dict[str, Storage]:
    """Where names' values may lie behind statements that do nothing but bind names."""
    now = dict(start)

    def lookup(name: str) -> Storage:
        return now.get(name, Storage({name}))

    for node in body:
        if isinstance(node, ast.If):
            yes, no = (storage_behind(module, arm, now) for arm in (node.body, node.orelse))
            now = {name: yes.get(name, Storage()) | no.get(name, Storage()) for name in {**yes, **no}}
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            now |= dict(_bound(module, targets, node.value, lookup))
    return now


def _bound(
    module: Module, targets: Iterable[ast.expr], value: ast.expr, lookup: _Lookup
) -> Iterable[tuple[str, Storage]]:
    for target in targets:
        parts = enumerate(target.elts) if isinstance(target, ast.Tuple) else [(None, target)]
        for number, one in parts:
            if isinstance(one, ast.Name):
                yield one.id, _item(module, value, () if number is None else (number,), lookup)
