"""What a rule asks most often of a module's text: is this a tensor."""

from __future__ import annotations

import ast

from graphfix.source.module import Module


def is_tensor(module: Module, node: ast.expr) -> bool:
    """Whether the text makes certain that the expression is a tensor. Raises SourceError."""
    return module.analysis.tensor(node) is True
