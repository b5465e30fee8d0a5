"""What rules share that move code out of a function to the module."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace

from graphfix.rule import Rewrite, Site
from graphfix.source.module import FUNCTIONS, Module
from graphfix.source.names import binders, scopes


def outermost(module: Module, node: ast.AST) -> ast.stmt | None:
    """The function or class at module level that holds a node."""
    found = [one for one in module.parents(node) if isinstance(one, (*FUNCTIONS, ast.ClassDef))]
    return found[-1] if found and next(module.parents(found[-1]), None) is module.tree else None


def defined_above(site: Site, node: ast.AST, start: str, template: str, **parts: ast.AST) -> Rewrite | None:
    """A rewrite that puts a definition, which begins with `start`, above what holds the node at module level."""
    top = outermost(site.module, node)
    rewrite = site.before(top, template, **parts) if top is not None else None
    if rewrite is None:
        return None
    # two empty lines below it, as above it
    edits = (replace(one, text=one.text.rstrip("\n") + "\n\n\n") if start in one.text else one for one in rewrite.edits)
    return Rewrite(tuple(edits))


def free_of(module: Module, made: ast.ClassDef) -> bool:
    """Whether a class that a function makes reads none of the function's own names."""
    inside = set(ast.walk(made))
    for name in inside:
        if isinstance(name, ast.Name) and name.id != made.name:
            binding = (one for one in scopes(module, name) if next(binders(one, name.id), None) is not None)
            if next(binding, made) not in inside:
                return False
        elif isinstance(name, ast.Nonlocal) or (isinstance(name, ast.Name) and name.id == "__class__"):
            return False
    return True


def following(module: Module, statement: ast.stmt) -> Sequence[ast.stmt]:
    """The statements behind one in its own block."""
    parent = next(module.parents(statement), None)
    for block in ("body", "orelse", "finalbody"):
        found = getattr(parent, block, None)
        if isinstance(found, list) and any(one is statement for one in found):
            return found[[one is statement for one in found].index(True) + 1 :]
    return ()
