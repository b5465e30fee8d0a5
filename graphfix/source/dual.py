"""The dual form of a rewrite: the new code where Dynamo compiles, the original everywhere else."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence

from graphfix.errors import CannotRewrite
from graphfix.source._shape import Part
from graphfix.source.module import FUNCTIONS, Module
from graphfix.source.text import LITERAL


def both_ways(module: Module, old: ast.AST, template: str, parts: Mapping[str, Part]) -> tuple[str, dict[str, Part]]:
    """The template and parts that put `template` beside `old`: a conditional expression, or an `if` statement.

    Raises CannotRewrite where one way binds a name that code outside reads and the other does not bind.
    """
    if isinstance(old, ast.expr):
        text = f"{_closed(template.strip())} if {{torch}}.compiler.is_compiling() else {{original}}"
        return text, {**parts, "original": old}
    assert isinstance(old, ast.stmt)
    differing = (_bound_by(template, parts) ^ _bound([old])) & _read_outside(module, old)
    if differing:
        raise CannotRewrite(f"{module.path}:{old.lineno} binds {min(differing)} in one form only.")
    otherwise, original = _otherwise(module, old)
    return f"if {{torch}}.compiler.is_compiling():\n{_indented(template)}{otherwise}", {**parts, **original}


def _closed(template: str) -> str:
    """The template of an expression, in parentheses where it could not stand before an `if` without."""
    plain = ast.parse(re.sub(r"\{\w+\}", "_", template).replace(LITERAL, ""), mode="eval").body
    return f"({template})" if isinstance(plain, ast.IfExp | ast.Lambda | ast.NamedExpr | ast.Tuple) else template


def _otherwise(module: Module, old: ast.stmt) -> tuple[str, dict[str, Part]]:
    """The original as the other arm: an `if` goes on as `elif`, as a person would write it."""
    text, parts = "", dict[str, Part]()
    rest: Sequence[ast.stmt] = [old]
    while len(rest) == 1 and isinstance(node := rest[0], ast.If) and (node is old or _is_elif(module, node)):
        number = len(parts)
        text += f"elif {{test{number}}}:\n    {{body{number}}}\n"
        parts |= {f"test{number}": node.test, f"body{number}": node.body}
        rest = node.orelse
    if rest:
        text += "else:\n    {rest}\n"
        parts["rest"] = list(rest)
    return text, parts


def _is_elif(module: Module, node: ast.If) -> bool:
    return module.line(node.lineno).lstrip().startswith("elif")


def _indented(template: str) -> str:
    return "".join(f"    {line}\n" for line in template.strip("\n").splitlines())


def _bound_by(template: str, parts: Mapping[str, Part]) -> set[str]:
    """The names that a template binds once it is filled."""
    found = _bound([ast.parse(re.sub(r"\{\w+\}", "_", template.strip("\n")).replace(LITERAL, ""))])
    for part in parts.values():
        found |= _bound([part] if isinstance(part, ast.AST) else part)
    return found


def _bound(nodes: Sequence[ast.AST]) -> set[str]:
    inside = (one for node in nodes for one in ast.walk(node))
    return {one.id for one in inside if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}


def _read_outside(module: Module, old: ast.AST) -> set[str]:
    """The names that the function around `old` reads outside of it."""
    around: ast.AST = next((node for node in module.parents(old) if isinstance(node, FUNCTIONS)), module.tree)
    inside = set(ast.walk(old))
    names = (node for node in ast.walk(around) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))
    return {node.id for node in names if node not in inside}
