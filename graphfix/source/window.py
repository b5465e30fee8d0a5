"""The part of a module that a rewrite hands to libcst: whole statements of its top level, since parsing takes long."""

from __future__ import annotations

import ast
import difflib
import functools
import io
import tokenize
from collections.abc import Iterable, Iterator
from typing import Any

import libcst as cst

from graphfix.errors import CannotRewrite
from graphfix.source._places import Places
from graphfix.source.module import Module
from graphfix.source.text import lines


class Window:
    """The lines `first` to `last` of a module, as libcst's tree, and the places in it, counted as the module's own."""

    def __init__(self, module: Module, first: int, last: int) -> None:
        all_lines = lines(module.text)
        self._before, self._after = "".join(all_lines[: first - 1]), "".join(all_lines[last:])
        self.text = "".join(all_lines[first - 1 : last])
        self.tree = _spelled_like(module, cst.parse_module(self.text))
        self.places = Places(module, self.tree, first)

    def module_with(self, swapped: cst.Module) -> str:
        """The module's text with the window's tree replaced. Raises CannotRewrite for what cannot be kept."""
        return self._before + onto(self.text, self.tree, swapped) + self._after


@functools.lru_cache(maxsize=1)
def _parsed(module: Module, first: int, last: int) -> Window:
    return Window(module, first, last)  # kept, since the next rewrite is often beside this one


def window(module: Module, nodes: Iterable[ast.AST]) -> Window:
    """The smallest window with all of the nodes in it, and the comments before and behind them."""
    spans = [(found.line, found.end_line or found.line) for found in map(module.location, nodes)]
    low, high = min(first for first, _ in spans), max(last for _, last in spans)
    if "\r" in module.text.replace("\r\n", ""):  # the parser ends a line there, too
        return _parsed(module, 1, len(lines(module.text)))
    first, last = 1, 0
    for statement in module.tree.body:
        begin = _begin(statement)
        if begin > last >= high:
            return _parsed(module, first, begin - 1)
        if begin > last and last < low:
            first = last + 1
        last = max(last, statement.end_lineno or begin)
    return _parsed(module, first, len(lines(module.text)))


def _begin(statement: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(decorator.lineno for decorator in decorators)])


def _spelled_like(module: Module, tree: cst.Module) -> cst.Module:
    """The tree with the module's indentation and line endings for what is new, where its own text shows none."""
    changes: dict[str, Any] = {}
    if all(isinstance(statement, cst.SimpleStatementLine) for statement in tree.body):
        changes["default_indent"] = _first_indent(module.text)
    if "\n" not in tree.code:
        changes["default_newline"] = "\r\n" if "\r\n" in module.text else "\n"
    return tree.with_changes(**changes) if changes else tree


def _first_indent(text: str) -> str:
    for token in tokenize.generate_tokens(io.StringIO(text, newline="\n").readline):
        if token.type == tokenize.INDENT:
            return token.string
    return "    "


@functools.lru_cache(maxsize=2)
def code(tree: cst.Module) -> str:
    """The text of a tree."""
    return tree.code


def onto(text: str, before: cst.Module, after: cst.Module) -> str:
    """`text` with the changes from `before` to `after`, where `before` is `text` as libcst reads it.

    What libcst prints differs in form feeds between statements, which it drops. Raises CannotRewrite for a change of a
    line with one, and where they differ in more.
    """
    if code(before) == text:
        return code(after)
    original, plain, new = lines(text), lines(code(before)), lines(code(after))
    if [line.replace("\f", "") for line in original] != [line.replace("\f", "") for line in plain]:
        raise CannotRewrite("the file has line endings that cannot be kept.")
    for a, b, c, d in reversed(list(line_changes(plain, new))):
        if original[a:b] != plain[a:b]:
            raise CannotRewrite("a form feed would be lost.")
        original[a:b] = new[c:d]
    return "".join(original)


def line_changes(before: list[str], after: list[str]) -> Iterator[tuple[int, int, int, int]]:
    """Which lines of one text become which of the other."""
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    return (places for tag, *places in matcher.get_opcodes() if tag != "equal")  # type: ignore[misc]
