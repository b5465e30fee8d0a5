"""What the methods of a class give its attributes, and which parameters a function uses as tensors."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from graphfix.source import torch_api as api
from graphfix.source.flow import Definition, Flow
from graphfix.source.outline import Class, Function, Outline

_ANY = api.TELLING | api.METHODS | api.SEQUENCES | {"shape", "size", "dtype", "device", "ndim", "dim"}


_Given = tuple[Function, ast.stmt, ast.expr | None]
"""What a statement of a method gives an attribute; None for a part of something."""


class Members:
    """Looks each class and attribute up once."""

    def __init__(self, flow: Flow, outline: Outline) -> None:
        self._flow, self._outline = flow, outline
        self._classes: dict[Class, dict[str, list[_Given]]] = {}
        self._known: dict[tuple[Class, str], list[Definition | None]] = {}

    def given(self, owner: Class, name: str) -> Sequence[Definition | None]:
        """The definitions of `self.name` in the class and its bases, None for one that is not understood."""
        if (owner, name) not in self._known:
            given = (one for base in self._outline.bases(owner) for one in self._of_class(base).get(name, ()))
            self._known[owner, name] = [self._definition(*one) for one in given]
        return self._known[owner, name]

    def _definition(self, method: Function, node: ast.stmt, value: ast.expr | None) -> Definition | None:
        """The definition; a method like `__init__` is walked only for a value that may turn out to be a tensor."""
        if value is None:
            return None
        if method.node not in self._flow.walked:
            if isinstance(value, ast.Constant):
                return Definition(value, (), {})
            if isinstance(value, ast.Name | ast.Attribute):
                return None
            self._flow.walk(method, {})
        env = self._flow.environments.get(node)
        return None if env is None else Definition(value, (), env)

    def _of_class(self, owner: Class) -> dict[str, list[_Given]]:
        found = self._classes.get(owner)
        if found is None:
            found = self._classes[owner] = {}
            for method in owner.methods.values():
                for node in _statements(method.node.body):
                    for name, value in _gives(node, method):
                        found.setdefault(name, []).append((method, node, value))
        return found

    def used_as_tensor(self, function: Function, name: str, is_input: bool) -> bool:
        """Whether the function uses an attribute of `name` that only tensors have, among what model code holds.

        An input of `forward` is no array and no module: any of a tensor's attributes tells.
        """
        walked = self._flow.walked.get(function.node)
        used = walked.attributes if walked else ()
        telling = _ANY if is_input else api.TELLING
        return any(owner == name and attribute in telling for owner, attribute in used)


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The assignments and expressions of a body and of the blocks in it, those of functions and classes left out."""
    todo: list[ast.AST] = list(body)
    for node in todo:  # which grows meanwhile
        kind = node.__class__
        if kind in _GIVING:
            yield node  # type: ignore[misc]
        elif kind not in _OTHERS:
            for block in ("body", "orelse", "finalbody", "handlers", "cases"):
                todo += getattr(node, block, ())


_GIVING = frozenset({ast.Assign, ast.AnnAssign, ast.Expr})
_OTHERS = frozenset({
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Return, ast.Raise, ast.Assert, ast.AugAssign, ast.Import,
    ast.ImportFrom, ast.Pass, ast.Delete, ast.Global, ast.Nonlocal, ast.Break, ast.Continue,
})  # fmt: skip


def _gives(node: ast.AST, method: Function) -> Iterator[tuple[str, ast.expr | None]]:
    """The attributes of `self` that a statement gives something, and what."""
    if isinstance(node, ast.Assign | ast.AnnAssign):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(target, ast.Attribute) and _is_self(target.value, method):
                yield target.attr, node.value
            elif isinstance(target, ast.Tuple | ast.List):
                parts = (one for one in target.elts if isinstance(one, ast.Attribute) and _is_self(one.value, method))
                yield from ((one.attr, None) for one in parts)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute):
        call = node.value
        if node.value.func.attr in ("register_buffer", "register_parameter"):
            values = [*call.args[1:2], *(k.value for k in call.keywords if k.arg in ("tensor", "param"))]
            name = call.args[0] if call.args else None
            if isinstance(name, ast.Constant) and isinstance(name.value, str) and values:
                yield name.value, _buffer(values[0])


def _is_self(node: ast.expr, method: Function) -> bool:
    first = [*method.node.args.posonlyargs, *method.node.args.args][:1]
    return isinstance(node, ast.Name) and bool(first) and node.id == first[0].arg


def _buffer(value: ast.expr) -> ast.expr:
    """A buffer is a tensor whatever it is made from, and None where it is None."""
    if isinstance(value, ast.Constant):
        return value
    torch = ast.Attribute(ast.Name("torch", ast.Load()), "as_tensor", ast.Load())
    return ast.Call(torch, [value], [])
