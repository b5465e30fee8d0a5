"""What binds a name, scope by scope: enough of Python's rules to know what `torch` stands for at a place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TypeGuard

from graphfix.errors import CannotRewrite
from graphfix.source.module import FUNCTIONS, Module

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_NAMING = (*FUNCTIONS, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar, ast.MatchMapping)
_SCOPES = (*FUNCTIONS, ast.Lambda, ast.ClassDef, *_COMPREHENSIONS)


def import_name(module: Module, node: ast.AST, wanted: str = "torch") -> str | None:
    """The name that stands for the top-level module `wanted` at `node`, None where the file must import it first.

    Raises CannotRewrite where the name stands for something else there.
    """
    name = module_import(module, wanted)
    for scope in scopes(module, node):
        if found := list(binders(scope, name or wanted)):
            if all(_is_earlier_import(module, scope, one, node, wanted) for one in found):
                return name or wanted
            raise CannotRewrite(f"{module.path} gives the name {name or wanted} to something else there.")
    if name is None and not all(_imports(one, wanted) for one in binders(module.tree, wanted)):
        raise CannotRewrite(f"{module.path} gives the name {wanted} to something that it does not import.")
    return name


def module_import(module: Module, wanted: str = "torch") -> str | None:
    """The name that `import torch` binds at module level, also in a `try` or where an `if` finds it to be installed;
    not under an `if TYPE_CHECKING`."""
    within = [one for one in module.tree.body if isinstance(one, ast.Try) or _asks_what_is_installed(one)]
    for node in [*module.tree.body, *(node for one in within for node in one.body)]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if _alias_is(alias, wanted):
                    return alias.asname or wanted
    return None


def _asks_what_is_installed(node: ast.stmt) -> TypeGuard[ast.If]:
    """`if is_torch_available():`, without which code that uses torch cannot run."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Call) and "available" in ast.unparse(node.test.func)


def scopes(module: Module, node: ast.AST) -> Iterator[ast.AST]:
    """The scopes around `node` in which Python looks names up, innermost first, the module's left out."""
    inside_function = False
    child = node
    for parent in module.parents(node):
        if isinstance(parent, _COMPREHENSIONS):
            yield parent
        elif isinstance(parent, (*FUNCTIONS, ast.Lambda, ast.ClassDef)) and holds(parent, child):
            if not isinstance(parent, ast.ClassDef):
                yield parent
                inside_function = True
            elif not inside_function:
                yield parent
        child = parent


def holds(scope: ast.AST, child: ast.AST) -> bool:
    """Whether a child of a function, lambda or class is its body, and no decorator, default or annotation."""
    body = getattr(scope, "body", ())
    return child is body or (isinstance(body, list) and any(child is one for one in body))


def binders(scope: ast.AST, name: str) -> Iterator[ast.AST]:
    """The nodes that give `name` a meaning in this very scope: parameters, stores, imports, definitions and others."""
    if isinstance(scope, (*FUNCTIONS, ast.Lambda)):
        yield from (arg for arg in ast.walk(scope.args) if isinstance(arg, ast.arg) and arg.arg == name)
    for node in _own(scope):
        if isinstance(node, ast.Name):
            named = node.id == name and not isinstance(node.ctx, ast.Load)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            named = any((alias.asname or alias.name.partition(".")[0]) == name for alias in node.names)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            named = name in node.names
        else:  # def, class, except … as, case patterns
            names = (getattr(node, "name", None), getattr(node, "rest", None))
            named = isinstance(node, _NAMING) and name in names
        if named:
            yield node


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes that belong to a scope, those of scopes within it left out."""
    if isinstance(scope, _COMPREHENSIONS):
        todo: list[ast.AST] = [generator.target for generator in scope.generators]
    else:
        body = getattr(scope, "body", [])
        todo = list(body) if isinstance(body, list) else [body]
    while todo:
        node = todo.pop()
        yield node
        if isinstance(node, _COMPREHENSIONS):  # a walrus in it binds outside of it
            todo += [one.target for one in ast.walk(node) if isinstance(one, ast.NamedExpr)]
        elif isinstance(node, _SCOPES):
            todo += [child for child in ast.iter_child_nodes(node) if not holds(node, child)]
        elif not isinstance(node, ast.arg):
            todo += ast.iter_child_nodes(node)


def _is_earlier_import(module: Module, scope: ast.AST, binder: ast.AST, node: ast.AST, wanted: str) -> bool:
    """Whether a binder is an import of `wanted` by the function itself, which ran before `node` does."""
    earlier = getattr(binder, "lineno", 0) < getattr(node, "lineno", 0)
    return _imports(binder, wanted) and earlier and next(module.parents(binder), None) is scope


def _imports(node: ast.AST, wanted: str) -> bool:
    return isinstance(node, ast.Import) and any(_alias_is(alias, wanted) for alias in node.names)


def _alias_is(alias: ast.alias, wanted: str) -> bool:
    return alias.name == wanted or (alias.name.startswith(f"{wanted}.") and not alias.asname)
