"""Adds an import where a person would put it: in its group (standard library, packages, own code), in order."""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence

from graphfix.source.text import lines

_STANDARD, _PACKAGES, _OWN = range(3)


def importing(text: str, modules: Sequence[str]) -> str:
    """The text with `import module` for each of the modules. Raises SyntaxError or ValueError where it cannot."""
    for module in modules:
        text = _with_import(text, module)
    return text


def _with_import(text: str, module: str) -> str:
    tree = ast.parse(text)
    all_lines = lines(text)
    if "\r" in text.replace("\r\n", ""):
        raise ValueError("a line ends in a carriage return alone")  # the parser counts other lines then
    newline = "\r\n" if "\r\n" in text else "\n"
    new = f"import {module}{newline}"
    head = _head(tree)
    if not head:
        return _below_the_docstring(tree, all_lines, new, newline)
    group = _group(module)
    line, blank_before, blank_after = _place(head, all_lines, module, group)
    if line == len(all_lines) and not all_lines[-1].endswith("\n"):
        all_lines[-1] += newline
    if blank_before:
        new = newline + new
    if blank_after:
        new += newline
    all_lines.insert(line, new)
    return "".join(all_lines)


def _head(tree: ast.Module) -> list[ast.Import | ast.ImportFrom]:
    """The imports that a file begins with, `__future__` left out; up to the first statement of another kind."""
    found: list[ast.Import | ast.ImportFrom] = []
    for statement in tree.body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            if not _is_future(statement):
                found.append(statement)
        elif found and not _is_plain_assignment(statement):
            break
    return found


def _is_plain_assignment(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)


def _is_future(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.module == "__future__"


def _place(
    head: Sequence[ast.Import | ast.ImportFrom], all_lines: Sequence[str], module: str, group: int
) -> tuple[int, bool, bool]:
    """After how many lines of the file to put the import, and whether a blank line goes above it and below it."""
    same = [one for one in head if _group_of(one) == group]
    smaller = [one for one in same if isinstance(one, ast.Import) and one.names[0].name < module]
    if smaller:
        return _end(smaller[-1]), False, False
    if same:
        return _above(head, same[0], all_lines), False, False
    earlier = [one for one in head if _group_of(one) < group]
    if earlier:
        return _end(earlier[-1]), True, False
    return _above(head, head[0], all_lines), False, True


def _above(
    head: Sequence[ast.Import | ast.ImportFrom], statement: ast.Import | ast.ImportFrom, all_lines: Sequence[str]
) -> int:
    """The number of lines above a statement, those that it shares a line with, and the comments that lead to it; those
    at the top of the file speak of all of it."""
    at = below = min(one.lineno for one in head if _end(one) >= statement.lineno) - 1
    while at > 0 and all_lines[at - 1].startswith("#"):
        at -= 1
    return at or below


def _end(statement: ast.stmt) -> int:
    return statement.end_lineno or statement.lineno


def _group_of(statement: ast.Import | ast.ImportFrom) -> int:
    if isinstance(statement, ast.ImportFrom):
        return _OWN if statement.level else _group(statement.module or "")
    return _group(statement.names[0].name)


def _group(module: str) -> int:
    return _STANDARD if module.partition(".")[0] in sys.stdlib_module_names else _PACKAGES


def _below_the_docstring(tree: ast.Module, all_lines: list[str], new: str, newline: str) -> str:
    """The text with the import below its docstring and `__future__` imports, above all other code."""
    first = [one for one in tree.body if _is_future(one)]
    if not first and tree.body and ast.get_docstring(tree, clean=False) is not None:
        first = tree.body[:1]
    at = _end(first[-1]) if first else 0
    if first and not all_lines[at - 1].endswith("\n"):
        all_lines[at - 1] += newline
    if not first:
        while at < len(all_lines) and all_lines[at].startswith("#"):  # a licence, an encoding
            at += 1
    above = newline if at else ""
    below = newline if at < len(all_lines) and all_lines[at].strip() else ""
    all_lines.insert(at, above + new + below)
    return "".join(all_lines)
