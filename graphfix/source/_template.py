"""Templates: code with `{slots}`, filled with parts of a module and with no parentheses but those it needs."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Mapping

import libcst as cst

from graphfix.source._places import Places
from graphfix.source._shape import Part, shape, statements_in
from graphfix.source.text import LITERAL

_SLOT = re.compile(r"\{(\w+)\}")

Parse = Callable[[Collection[str]], object]
"""The syntax tree of a template filled without parentheses around the slots named."""


def modules_of(template: str, parts: Mapping[str, Part]) -> list[str]:
    """The modules that a template names: the slots that no part is for."""
    return [name for name in dict.fromkeys(_SLOT.findall(template)) if name not in parts]


class Template:
    """A template as the module at hand would spell it: its names for modules, its parts in the slots."""

    def __init__(
        self,
        text: str,
        parts: Mapping[str, Part],
        names: Mapping[str, str | None],
        tree: cst.Module,
        places: Places,
    ) -> None:
        self._tree, self._places = tree, places
        self.slots: dict[str, Part] = {}

        def name(match: re.Match[str]) -> str:
            if match[1] in names:
                return names[match[1]] or match[1]
            slot = f"_graphfix_slot_{len(self.slots)}"
            self.slots[slot] = parts[match[1]]
            return slot

        self._text = _SLOT.sub(name, text.strip("\n")).replace(LITERAL, "")

    def statements(self, old: cst.BaseStatement) -> tuple[list[cst.BaseStatement], list[ast.stmt]]:
        """The template's statements, filled, and its own syntax tree. Comments above `old` are left to the caller."""
        plan = ast.parse(self._text).body
        template = cst.parse_module(self._text + "\n", config=self._tree.config_for_parsing)

        def fill(bare: Collection[str]) -> cst.Module:
            filled = template.visit(_Fill(self._places, self.slots, bare, old))
            assert isinstance(filled, cst.Module)
            return filled

        filled = fill(self._unneeded(lambda bare: ast.parse(fill(bare).code).body, plan))
        return list(filled.body), plan

    def expression(self) -> tuple[cst.BaseExpression, ast.expr]:
        """The template's expression, filled, and its own syntax tree."""
        plan = ast.parse(self._text.strip(), mode="eval").body
        template = cst.parse_expression(self._text.strip(), config=self._tree.config_for_parsing)

        def fill(bare: Collection[str]) -> cst.BaseExpression:
            filled = template.visit(_Fill(self._places, self.slots, bare, None))
            assert isinstance(filled, cst.BaseExpression)
            return filled

        def parse(bare: Collection[str]) -> ast.expr:
            return ast.parse(f"({self._tree.code_for_node(fill(bare))}\n)", mode="eval").body

        return fill(self._unneeded(parse, plan)), plan

    def _unneeded(self, parse: Parse, plan: object) -> set[str]:
        """The slots that say the same without parentheses of their own."""
        wanted = shape(plan, self.slots)
        bare: set[str] = set()
        for candidate in (set(self.slots), *({slot} for slot in self.slots)):
            try:
                if shape(parse(bare | candidate)) == wanted:
                    bare |= candidate
            except (SyntaxError, cst.CSTValidationError):
                continue
        return bare


def parenthesized(node: cst.BaseExpression) -> cst.BaseExpression:
    """The expression in parentheses, its own where it has some."""
    if node.lpar:
        return node
    return node.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])


def _bare(node: cst.BaseExpression) -> cst.BaseExpression:
    """The expression without parentheses of its own, where it had some on one line and is no tuple."""
    on_one_line = "\n" not in cst.Module([]).code_for_node(node)
    keeps = isinstance(node, cst.Tuple) or not on_one_line
    return node if keeps else node.with_changes(lpar=[], rpar=[])


class _Fill(cst.CSTTransformer):
    """Puts the parts in place of a parsed template's slots; those in `bare` get no parentheses."""

    def __init__(
        self, places: Places, slots: Mapping[str, Part], bare: Collection[str], old: cst.BaseStatement | None
    ) -> None:
        super().__init__()
        self._places, self._slots, self._bare, self._old = places, slots, bare, old

    def leave_SimpleStatementLine(  # noqa: N802 (libcst's naming)
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement]:
        only = original_node.body[0]
        name = only.value.value if isinstance(only, cst.Expr) and isinstance(only.value, cst.Name) else ""
        part = statements_in(ast.Expr(ast.Name(name)), self._slots)
        if part is None:
            return updated_node
        return cst.FlattenSentinel([self._statement(statement) for statement in part])

    def _statement(self, statement: ast.stmt) -> cst.BaseStatement:
        """The statement; without the lines above it where it is the one replaced, since those stay where they are."""
        found = self._places.statement(statement)
        return found.with_changes(leading_lines=[]) if found is self._old else found

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:  # noqa: N802
        part = self._slots.get(original_node.value)
        if not isinstance(part, ast.expr):
            return updated_node
        found = self._places.expression(part)
        return _bare(found) if original_node.value in self._bare else parenthesized(found)
