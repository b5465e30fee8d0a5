"""Tensors that a class makes of numbers in `__init__`, and its methods computing with the numbers instead."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from graphfix.source.module import FUNCTIONS, Module
from graphfix.source.values import Kind

from ._match import dotted

_MAKERS = frozenset({"torch.tensor", "torch.as_tensor", "torch.scalar_tensor"})
_WHOLE = frozenset({"torch.ceil", "torch.floor", "torch.trunc"})
_TO_MATH = {name: name.removeprefix("torch.") for name in _WHOLE} | {
    "torch.sqrt": "sqrt", "torch.exp": "exp", "torch.log": "log", "torch.log2": "log2"
}  # fmt: skip
_INT = frozenset({"long", "int"})
_INT_DTYPES = frozenset({"torch.int64", "torch.long", "torch.int32", "torch.int"})

Change = tuple[ast.expr, str, Mapping[str, ast.expr]]


@dataclass(frozen=True, slots=True)
class Kept:
    """A tensor attribute made of a number: where the number can be kept, and how it is computed there."""

    name: str
    statement: ast.stmt
    template: str
    parts: Mapping[str, ast.expr]
    needs: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Local:
    """A tensor in a local name of `__init__`, made of `number` by `statement`."""

    number: ast.expr
    statement: ast.stmt


def kept_numbers(module: Module, owner: ast.ClassDef) -> dict[str, Kept]:
    """The attributes that `__init__` makes of numbers, and that no checkpoint holds."""
    init = next((one for one in owner.body if isinstance(one, FUNCTIONS) and one.name == "__init__"), None)
    if init is None or not init.args.args or init.args.args[0].arg != "self":
        return {}
    locals_: dict[str, _Local | None] = {}
    attribute_of: dict[_Local, str] = {}
    found: dict[str, Kept] = {}
    for statement in init.body:
        registered = _registered(statement)
        if registered is not None:
            name, value = registered
            made = _made_of(module, value)
            local = locals_.get(value.id) if isinstance(value, ast.Name) else None
            if made is not None:
                found[name] = Kept(name, statement, "{number}", {"number": made}, frozenset())
            elif local is not None:
                found[name] = Kept(name, local.statement, "{number}", {"number": local.number}, frozenset())
                attribute_of[local] = name
            elif (computed := _computed(value, locals_, attribute_of)) is not None:
                found[name] = Kept(name, statement, ast.unparse(computed[0]), {}, computed[1])
            continue
        for one in ast.walk(statement):
            if isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Load):
                locals_[one.id] = None
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            number = _made_of(module, statement.value)
            if number is not None and len(statement.targets) == 1:
                locals_[statement.targets[0].id] = _Local(number, statement)
    return found


def _registered(statement: ast.stmt) -> tuple[str, ast.expr] | None:
    """The attribute and its value: `self.register_buffer("name", value, persistent=False)`, `self.name = value`."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        if isinstance(target, ast.Attribute) and dotted(target.value) == "self":
            return target.attr, statement.value
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call) or dotted(call.func) != "self.register_buffer":
        return None
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    values = [*call.args, *(named[key] for key in ("name", "tensor", "persistent") if key in named)]
    if len(values) != 3 or not isinstance(values[0], ast.Constant) or not isinstance(values[0].value, str):
        return None
    persistent = values[2]
    is_temporary = isinstance(persistent, ast.Constant) and persistent.value is False
    return (values[0].value, values[1]) if is_temporary else None


def _made_of(module: Module, value: ast.expr) -> ast.expr | None:
    """The number that a tensor is made of by a call."""
    if not isinstance(value, ast.Call) or module.analysis.meaning(value.func) not in _MAKERS or len(value.args) != 1:
        return None
    number = value.args[0]
    listed = isinstance(number, ast.List | ast.Tuple | ast.ListComp | ast.GeneratorExp | ast.Starred)
    return None if listed or module.analysis.value(number).is_tensor else number


def _computed(
    value: ast.expr, locals_: Mapping[str, _Local | None], attribute_of: Mapping[_Local, str]
) -> tuple[ast.expr, frozenset[str]] | None:
    """Arithmetic of local tensors, as arithmetic of the numbers kept for them."""
    if isinstance(value, ast.Constant):
        return value, frozenset()
    if isinstance(value, ast.Name):
        local = locals_.get(value.id)
        name = attribute_of.get(local) if local is not None else None
        return None if name is None else (_number_of(name), frozenset({name}))
    if isinstance(value, ast.BinOp):
        left = _computed(value.left, locals_, attribute_of)
        right = _computed(value.right, locals_, attribute_of)
        if left is not None and right is not None and left[1] | right[1]:
            return ast.BinOp(left[0], value.op, right[0]), left[1] | right[1]
    return None


def _number_of(name: str) -> ast.expr:
    return ast.Attribute(ast.Name("self", ast.Load()), f"{name}_number", ast.Load())


@dataclass
class KeptNumbers:
    """Rewrites the methods of a class to compute with the numbers that it keeps; `used` are those they read."""

    module: Module
    owner: ast.ClassDef
    kept: Mapping[str, Kept]
    used: set[str] = field(default_factory=set)

    def changes(self, method: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Change]:
        """What changes in a method."""
        yield from self._below(method, self._names(method))

    def _names(self, method: ast.AST) -> set[str]:
        """The local names that hold numbers only once the tensors are numbers."""
        assigned: dict[str, list[ast.expr | None]] = {}
        for one in ast.walk(method):
            if isinstance(one, ast.Assign) and len(one.targets) == 1 and isinstance(one.targets[0], ast.Name):
                assigned.setdefault(one.targets[0].id, []).append(one.value)
            elif isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Load):
                parent = next(self.module.parents(one), None)
                if not (isinstance(parent, ast.Assign) and parent.targets == [one]):
                    assigned.setdefault(one.id, []).append(None)
            elif isinstance(one, ast.arg):
                assigned.setdefault(one.arg, []).append(None)
        names = {name for name, values in assigned.items() if None not in values}
        while True:
            still = {
                name for name in names if all(one is not None and self._number(one, names) for one in assigned[name])
            }
            if still == names:
                return names
            names = still

    def _number(self, node: ast.expr, names: set[str]) -> bool:
        """Whether an expression is a number once the tensors are."""
        if self._is_kept(node) or isinstance(node, ast.Constant):
            return True
        if isinstance(node, ast.Name) and node.id in names:
            return True
        if isinstance(node, ast.BinOp):
            return self._number(node.left, names) and self._number(node.right, names)
        if isinstance(node, ast.UnaryOp):
            return self._number(node.operand, names)
        if isinstance(node, ast.Call) and (inner := self._converted(node)) is not None:
            return self._number(inner, names)
        if isinstance(node, ast.Call) and dotted(node.func) in ("int", "float", "max", "min", "abs", "round"):
            return all(self._number(one, names) for one in node.args)
        return self.module.analysis.value(node).kind is Kind.PLAIN

    def _is_kept(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Attribute) and dotted(node.value) == "self" and node.attr in self.kept

    def _converted(self, call: ast.Call) -> ast.expr | None:
        """The tensor that a call converts or rounds, in a way that Python's numbers can be, too."""
        if call.keywords:
            return None
        if self.module.analysis.meaning(call.func) in _TO_MATH:
            return call.args[0] if len(call.args) == 1 else None
        if not isinstance(call.func, ast.Attribute):
            return None
        if call.func.attr in ("item", "float", *_INT) and not call.args:
            return call.func.value
        if call.func.attr == "to" and len(call.args) == 1 and dotted(call.args[0]) in _INT_DTYPES:
            return call.func.value
        return None

    def _below(self, node: ast.AST, names: set[str]) -> Iterator[Change]:
        if isinstance(node, ast.Call) and (inner := self._converted(node)) is not None and self._reads(inner, names):
            if self._number(inner, names):
                parts: dict[str, ast.expr] = {}
                made = ast.unparse(self._as_number(node, names, parts))
                yield node, re.sub(r"\b_(part\d+|math)_\b", r"{\1}", made), parts
                return
            if self._is_kept(inner):
                return
        if self._is_kept(node):
            parent = next(self.module.parents(node), None)
            if isinstance(node, ast.Attribute) and not isinstance(parent, ast.Attribute):
                self.used.add(node.attr)
                yield node, f"self.{node.attr}_number", {}
            return
        for child in ast.iter_child_nodes(node):
            yield from self._below(child, names)

    def _reads(self, node: ast.AST, names: set[str]) -> bool:
        """Whether an expression reads a kept tensor, or a name that holds such a number."""
        return any(self._is_kept(one) or (isinstance(one, ast.Name) and one.id in names) for one in ast.walk(node))

    def _as_number(self, node: ast.expr, names: set[str], parts: dict[str, ast.expr]) -> ast.expr:
        """The expression with Python's functions for torch's."""
        if self._is_kept(node):
            assert isinstance(node, ast.Attribute)
            self.used.add(node.attr)
            return _number_of(node.attr)
        if isinstance(node, ast.Call) and (inner := self._converted(node)) is not None and self._reads(inner, names):
            made = self._as_number(inner, names, parts)
            function = self.module.analysis.meaning(node.func)
            if function in _TO_MATH:
                return ast.Call(
                    ast.Attribute(ast.Name("_math_", ast.Load()), _TO_MATH[function], ast.Load()), [made], []
                )
            assert isinstance(node.func, ast.Attribute)
            if node.func.attr == "item" or self._is_whole(inner):
                return made
            return ast.Call(ast.Name("float" if node.func.attr == "float" else "int", ast.Load()), [made], [])
        if isinstance(node, ast.BinOp):
            new = copy.copy(node)
            new.left, new.right = self._as_number(node.left, names, parts), self._as_number(node.right, names, parts)
            return new
        if self._reads(node, names) and isinstance(node, ast.UnaryOp):
            return ast.UnaryOp(node.op, self._as_number(node.operand, names, parts))
        slot = f"part{len(parts)}"
        parts[slot] = node
        return ast.Name(f"_{slot}_", ast.Load())

    def _is_whole(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Call) and self.module.analysis.meaning(node.func) in _WHOLE
