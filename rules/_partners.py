"""What a tensor meets that must be as long: stacked with it, in an operation, beside it in an index or a call."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from graphfix.source.module import Module

from ._lengths import Def
from ._match import dotted, is_pure, is_whole, only_value
from ._reads import parent

_ENDS = frozenset("sum mean max min any all argmax size dim numel item tolist nonzero unique bincount".split())
"""Methods whose result is not as long as what they are called on."""


def meets(module: Module, node: ast.AST, depth: int = 3) -> Iterator[ast.expr]:
    """What an expression meets, the nearest first; names that it, or what is made of it, is assigned to count as it."""
    above = parent(module, node)
    if isinstance(above, ast.keyword):
        node, above = above, parent(module, above)
    if isinstance(above, ast.Tuple | ast.List) and isinstance(above.ctx, ast.Load):
        yield from (one for one in above.elts if one is not node)
        if isinstance(parent(module, above), ast.Subscript):
            yield from meets(module, above, depth)
    elif isinstance(above, ast.BinOp | ast.Compare):
        sides = [above.left, above.right] if isinstance(above, ast.BinOp) else [above.left, *above.comparators]
        yield from (one for one in sides if one is not node)
        yield from meets(module, above, depth)
    elif isinstance(above, ast.UnaryOp):
        yield from meets(module, above, depth)
    elif isinstance(above, ast.Subscript):
        yield from _about_index(module, above, node, depth)
    elif isinstance(above, ast.Attribute):
        call = parent(module, above)
        if isinstance(call, ast.Call) and call.func is above and above.attr not in _ENDS:
            yield from _given(call)
            yield from meets(module, call, depth)
    elif isinstance(above, ast.Call) and node is not above.func:
        yield from (one for one in _given(above) if one not in (node, getattr(node, "value", None)))
        yield from meets(module, above, depth)
    elif isinstance(above, ast.Assign) and depth:
        for name in (one for target in above.targets for one in _loads(module, target)):
            yield from meets(module, name, depth - 1)


def _about_index(module: Module, subscript: ast.Subscript, node: ast.AST, depth: int) -> Iterator[ast.expr]:
    """What `x[node]` meets or is given, and what `node[:, None]` meets, which is as long as `node`."""
    if subscript.value is node:
        parts = subscript.slice.elts if isinstance(subscript.slice, ast.Tuple) else [subscript.slice]
        if not all(is_whole(part) or (isinstance(part, ast.Constant) and part.value in (None, ...)) for part in parts):
            return
    statement = parent(module, subscript)
    if isinstance(statement, ast.Assign | ast.AugAssign) and isinstance(subscript.ctx, ast.Store):
        yield statement.value
    else:
        yield from meets(module, subscript, depth)


def _given(call: ast.Call) -> list[ast.expr]:
    """What a call takes, the object of a method as well."""
    of = [call.func.value] if isinstance(call.func, ast.Attribute) else []
    return [*of, *call.args, *(keyword.value for keyword in call.keywords)]


def _loads(module: Module, target: ast.expr) -> list[ast.Name]:
    """Where a name that gets a value is read, further down in its function."""
    function = module.function_of(target)
    if not isinstance(target, ast.Name) or function is None:
        return []
    return [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and node.id == target.id and isinstance(node.ctx, ast.Load)
        if node.lineno > target.lineno
    ]


def tensors_in(module: Module, node: ast.AST, at: ast.stmt, depth: int = 3) -> Iterator[ast.expr]:
    """The names, attributes and elements (`pair[1]`) in an expression that have a value where `at` stands."""
    if isinstance(node, ast.Name | ast.Attribute) and dotted(node):
        yield from _before(module, node, at, depth)
    elif isinstance(node, ast.Subscript):
        if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, int):
            yield from (node for one in tensors_in(module, node.value, at, 0) if one is node.value)
        yield from tensors_in(module, node.slice, at, depth)
        yield from tensors_in(module, node.value, at, depth)
    elif isinstance(node, ast.Call):
        for one in _given(node):
            yield from tensors_in(module, one, at, depth)
    else:
        for child in ast.iter_child_nodes(node):
            yield from tensors_in(module, child, at, depth)


def _before(module: Module, node: ast.expr, at: ast.stmt, depth: int) -> Iterator[ast.expr]:
    """A dotted name, or what is in its only value, where it gets one no sooner than `at`."""
    function = module.function_of(at)
    if function is None:
        return
    root = dotted(node).partition(".")[0]
    given = {arg.arg for arg in ast.walk(function.args) if isinstance(arg, ast.arg)}
    stored = [one for one in ast.walk(function) if isinstance(one, ast.Name) and one.id == root and _is_store(one)]
    if root in given or any(one.lineno < at.lineno for one in stored):
        yield node
    elif isinstance(node, ast.Name) and depth:
        value = only_value(module, node)
        if value is not None and is_pure(value):
            yield from tensors_in(module, value, at, depth - 1)


def _is_store(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def fields(module: Module, at: ast.stmt) -> Iterator[ast.expr]:
    """The attributes that a function reads of what has a value where `at` stands, and the fields that the classes of
    its parameters declare in this module."""
    function = module.function_of(at)
    if function is None:
        return
    yield from _attributes(module, function, at)
    classes = {node.name: node for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef)}
    for arg in (one for one in ast.walk(function.args) if isinstance(one, ast.arg) and one.annotation is not None):
        for name in re.findall(r"\w+", ast.unparse(arg.annotation or arg)):
            yield from _declared(arg.arg, classes[name].body if name in classes else ())
    owner = parent(module, function)
    if isinstance(owner, ast.ClassDef) and function.args.args:
        yield from _declared(function.args.args[0].arg, owner.body)


def _attributes(module: Module, function: Def, at: ast.stmt) -> Iterator[ast.expr]:
    """The attributes read, without what is called on them or asked of them (`.shape`)."""
    for node in ast.walk(function):
        if not isinstance(node, ast.Attribute) or not dotted(node):
            continue
        above = parent(module, node)
        if not isinstance(above, ast.Attribute) and not (isinstance(above, ast.Call) and above.func is node):
            yield from _before(module, node, at, 0)
        if isinstance(node.value, ast.Attribute):
            yield from _before(module, node.value, at, 0)


def _declared(owner: str, body: Iterable[ast.stmt]) -> Iterator[ast.expr]:
    for one in body:
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            yield ast.Attribute(ast.Name(owner, ast.Load()), one.target.id, ast.Load())
