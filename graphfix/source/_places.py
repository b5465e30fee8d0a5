"""From the standard library's nodes, whose positions are Dynamo's own, to libcst's, which keep every space."""

from __future__ import annotations

import ast

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from graphfix.errors import CannotRewrite
from graphfix.model import Location
from graphfix.source.module import Module


class Places:
    """The libcst nodes of a module, or of its lines from `first` on, by their place in it."""

    def __init__(self, module: Module, tree: cst.Module, first: int = 1) -> None:
        self._module = module
        self._at: dict[tuple[int, int], list[cst.CSTNode]] = {}
        self._parent: dict[cst.CSTNode, cst.CSTNode] = {}
        self._lines: dict[cst.CSTNode, cst.SimpleStatementLine] = {}
        self._ends: dict[cst.CSTNode, tuple[int, int]] = {}
        ranges = MetadataWrapper(tree, unsafe_skip_copy=True).resolve(PositionProvider)
        for node, span in ranges.items():
            self._at.setdefault((span.start.line + first - 1, span.start.column), []).append(node)
            self._ends[node] = (span.end.line + first - 1, span.end.column)
            for child in node.children:
                self._parent[child] = node

    def expression(self, node: ast.AST) -> cst.BaseExpression:
        """The same expression. Raises CannotRewrite where libcst has none at its place."""
        place = self._module.location(node)
        for found in self._starting(place):
            if isinstance(found, cst.BaseExpression) and self._ends[found] == (place.end_line, place.end_column):
                return found
        if isinstance(node, ast.Tuple | ast.GeneratorExp):  # libcst's begin behind the parenthesis
            for found in self._at.get((place.line, (place.column or 0) + 1), ()):
                if isinstance(found, cst.Tuple | cst.GeneratorExp):
                    return found
        raise CannotRewrite(f"{place.path}:{place.line} has an expression that cannot be placed.")

    def statement(self, node: ast.stmt) -> cst.BaseStatement:
        """The statement with its line: its leading comments and the comment behind it. Raises CannotRewrite."""
        place = self._module.location(node)
        for found in self._starting(place):
            if isinstance(found, cst.BaseCompoundStatement):
                return found
            if isinstance(found, cst.BaseSmallStatement):
                return self._line_of(found, place)
        raise CannotRewrite(f"{place.path}:{place.line} has a statement that cannot be placed.")

    def around(self, node: cst.CSTNode) -> list[cst.CSTNode]:
        """The nodes that hold `node`, innermost first."""
        found = []
        while (parent := self._parent.get(node)) is not None:
            found.append(parent)
            node = parent
        return found

    def _line_of(self, small: cst.BaseSmallStatement, place: Location) -> cst.SimpleStatementLine:
        line = self._parent.get(small)
        if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1:
            return line
        if isinstance(line, cst.SimpleStatementSuite) and len(line.body) == 1:
            alone = cst.SimpleStatementLine([small], trailing_whitespace=line.trailing_whitespace)
            return self._lines.setdefault(small, alone)
        raise CannotRewrite(f"{place.path}:{place.line} has several statements on one line.")

    def one_line_suite(self, node: ast.stmt) -> cst.SimpleStatementSuite | None:
        """The body of `if test: statement` that the statement alone makes up."""
        parents = (self._parent.get(found) for found in self._starting(self._module.location(node)))
        return next((parent for parent in parents if isinstance(parent, cst.SimpleStatementSuite)), None)

    def _starting(self, place: Location) -> list[cst.CSTNode]:
        return self._at.get((place.line, place.column or 0), [])
