"""An `elif` on a tensor: the branches above it stay, and what replaces it becomes their `else`."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from graphfix.source.module import Module

from ._condition import Build


def elifs_above(module: Module, branch: ast.If) -> list[ast.If]:
    """The branches whose `elif` this one is, the first one first; empty for a branch that stands alone."""
    above: list[ast.If] = []
    while module.line(branch.lineno)[branch.col_offset :].startswith("elif"):
        parent = next(module.parents(branch), None)
        if not isinstance(parent, ast.If):
            break
        above.insert(0, parent)
        branch = parent
    return above


def as_else(build: Build, above: Sequence[ast.If], text: str) -> str:
    """The template of a chain whose last branch has become `text`."""
    if not above:
        return text
    lines: list[str] = []
    for number, node in enumerate(above):
        lines += [f"{'elif' if number else 'if'} {build.slot(node.test)}:", f"    {build.slot(node.body)}"]
    return "\n".join([*lines, "else:", *(f"    {line}" for line in text.splitlines())])
