"""Blocks that do nothing but tell: log calls, and what is worked out for them alone."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from graphfix.source.module import Module

from ._arms import is_live_behind
from ._match import is_guarded_log, is_log_statement, is_pure, is_text


def only_tells(module: Module, branch: ast.stmt, *blocks: Sequence[ast.stmt]) -> bool:
    """Whether the blocks of a branch log, print or warn, work out what they say, and do nothing else.

    Loops, conditions and names are theirs where nothing behind the branch reads the names.
    """
    inside = set(ast.walk(branch))
    nodes = [node for block in blocks for node in block]
    says = any(is_log_statement(part) or _is_guard(part) for node in nodes for part in ast.walk(node))
    return says and all(_tells(module, branch, inside, node) for node in nodes)


def _is_guard(node: ast.AST) -> bool:
    return isinstance(node, ast.stmt) and is_guarded_log(node)


def _tells(module: Module, branch: ast.stmt, inside: set[ast.AST], node: ast.stmt) -> bool:
    if is_log_statement(node) or is_guarded_log(node) or is_text(node):
        return True
    if isinstance(node, ast.Pass | ast.Continue | ast.Break):
        return not isinstance(node, ast.Continue | ast.Break) or _in_loop_of(module, branch, node)
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        every = [one for target in targets for one in (target.elts if isinstance(target, ast.Tuple) else [target])]
        own = all(isinstance(one, ast.Name) and not is_live_behind(module, branch, inside, one.id) for one in every)
        in_place = isinstance(node, ast.AugAssign) and module.analysis.tensor(node.target) is not None
        return own and not in_place and node.value is not None and is_pure(node.value)
    if isinstance(node, ast.For):
        names = [part for part in ast.walk(node.target) if isinstance(part, ast.Name)]
        own = all(not is_live_behind(module, branch, inside, one.id) for one in names) and not isinstance(
            node.target, ast.Attribute | ast.Subscript
        )
        return own and is_pure(node.iter) and all(_tells(module, branch, inside, one) for one in _blocks(node))
    if isinstance(node, ast.If):
        return is_pure(node.test) and all(_tells(module, branch, inside, one) for one in _blocks(node))
    return False


def _blocks(node: ast.For | ast.If) -> list[ast.stmt]:
    return [*node.body, *node.orelse]


def _in_loop_of(module: Module, branch: ast.stmt, node: ast.stmt) -> bool:
    """Whether a jump stays inside the branch."""
    for parent in module.parents(node):
        if parent is branch:
            return False
        if isinstance(parent, ast.For | ast.While):
            return True
    return False
