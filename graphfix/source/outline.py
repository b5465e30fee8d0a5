"""What a module defines: imports, classes and functions, from one walk over its statements."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from graphfix.source.module import FUNCTIONS

AnyFunction = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(eq=False, slots=True)
class Function:
    """A function: `name` is its qualified name, `owner` the class it is a method of, `outer` the function around it."""

    node: AnyFunction
    name: str
    owner: Class | None = None
    outer: Function | None = None
    inner: dict[str, Function] = field(default_factory=dict)

    @property
    def is_special(self) -> bool:
        """Whether it is `__init__` or the like, which compiled code does not call by itself; `__call__` is not."""
        name = self.node.name
        return name.startswith("__") and name.endswith("__") and name != "__call__"


@dataclass(eq=False, slots=True)
class Class:
    """A class at module level, or in another one."""

    node: ast.ClassDef
    name: str
    methods: dict[str, Function] = field(default_factory=dict)
    bases: list[Class] | None = None


@dataclass(eq=False, slots=True)
class Outline:
    """`imports` maps the names that imports bind at module level to what they stand for: `torch.nn.functional`,
    `.layers.Attention` (dots as in the import where it is relative)."""

    imports: dict[str, str] = field(default_factory=dict)
    classes: dict[str, Class] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    all: list[Function] = field(default_factory=list)
    values: dict[str, list[ast.expr]] = field(default_factory=dict)
    """What module level assigns to plain names."""
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)
    """The nodes around statements."""

    def close(self) -> None:
        """Let go of what holds on to each other, so that the tree goes without a garbage collection."""
        for owner in self.classes.values():
            owner.methods.clear()
            owner.bases = None
        for function in self.all:
            function.inner.clear()
            function.owner = function.outer = None

    def bases(self, owner: Class) -> list[Class]:
        """The class and those it derives from, as far as this module defines them, nearest first."""
        if owner.bases is None:
            todo, found = [owner], list[Class]()
            while todo:
                one = todo.pop(0)
                if one not in found:
                    found.append(one)
                    names = (base.id for base in one.node.bases if isinstance(base, ast.Name))
                    todo += [self.classes[name] for name in names if name in self.classes]
            owner.bases = found
        return owner.bases

    def method(self, owner: Class, name: str) -> Function | None:
        """The method that `self.name` finds, where this module defines it."""
        return next((one.methods[name] for one in self.bases(owner) if name in one.methods), None)


def outline(tree: ast.Module) -> Outline:
    """The outline of a parsed module."""
    found = Outline()
    _block(tree, tree.body, found, None, None, "")
    return found


def imported(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """The names that an import binds, and what each stands for."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield (alias.asname, alias.name) if alias.asname else (alias.name.partition(".")[0],) * 2
        return
    owner = "." * node.level + (node.module or "")
    for alias in node.names:
        yield alias.asname or alias.name, owner + alias.name if owner.endswith(".") else f"{owner}.{alias.name}"


def _block(
    parent: ast.AST, body: Sequence[ast.stmt], found: Outline, owner: Class | None, outer: Function | None, at: str
) -> None:
    for node in body:
        found.parents[node] = parent
        if isinstance(node, FUNCTIONS):
            function = Function(node, at + node.name, owner, outer)
            found.all.append(function)
            _named(found, owner, outer)[node.name] = function
            _block(node, node.body, found, None, function, f"{function.name}.<locals>.")
        elif isinstance(node, ast.ClassDef):
            inner = Class(node, at + node.name)
            found.classes.setdefault(node.name, inner)
            _block(node, node.body, found, inner, outer, f"{inner.name}.")
        elif outer is None and isinstance(node, ast.Import | ast.ImportFrom):
            if owner is None:
                found.imports.update(imported(node))
        elif outer is None and owner is None and isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found.values.setdefault(target.id, []).append(node.value)
        else:
            for part in ("body", "orelse", "finalbody"):
                if inside := getattr(node, part, None):
                    _block(node, inside, found, owner, outer, at)
            for clause in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
                found.parents[clause] = node
                _block(clause, clause.body, found, owner, outer, at)


def _named(found: Outline, owner: Class | None, outer: Function | None) -> dict[str, Function]:
    if owner is not None:
        return owner.methods
    return found.functions if outer is None else outer.inner
