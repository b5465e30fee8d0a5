"""A parsed module: its tree with parents, and the way between places in the text and nodes."""

from __future__ import annotations

import ast
import functools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from graphfix.errors import SourceError
from graphfix.model import Location

if TYPE_CHECKING:
    from graphfix.source.analysis import Analysis

N = TypeVar("N", bound=ast.AST)

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Module:
    """One source file: `path` and decoded `text`; everything else is worked out on demand.

    `entries` limits the analysis to what compiled code runs: the functions so named (those that other files' compiled
    code calls), what the file itself compiles, and what these call. None: every function counts.
    """

    path: str
    text: str
    entries: frozenset[str] | None = None

    @functools.cached_property
    def tree(self) -> ast.Module:
        """The standard library's syntax tree. Raises SourceError where the text is not Python."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(self.text)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            where = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
            raise SourceError(f"{self.path}{where} is not Python that this interpreter reads: {error}.") from None

    @functools.cached_property
    def lines(self) -> list[str]:
        """The lines as the parser counts them, endings removed (form feeds do not end a line)."""
        return self.text.replace("\r\n", "\n").replace("\r", "\n").split("\n")

    @functools.cached_property
    def _parents(self) -> dict[ast.AST, ast.AST]:
        return {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    def line(self, number: int) -> str:
        """The text of a line, counted from 1; empty beyond the end."""
        return self.lines[number - 1] if 0 < number <= len(self.lines) else ""

    @functools.cached_property
    def analysis(self) -> Analysis:
        """What the text shows of tensors and compiled code. Raises SourceError where it nests too deeply."""
        from graphfix.source.analysis import Analysis

        try:
            return Analysis(self.tree, self.text, self.entries)
        except RecursionError:
            raise SourceError(f"{self.path} nests expressions too deeply to be searched.") from None

    def close(self) -> None:
        """Let go of the tree at once, without waiting for a garbage collection."""
        if "analysis" in self.__dict__:
            self.analysis.close()

    def parents(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes around `node`, innermost first."""
        known = self.__dict__["analysis"].flow.parents if "analysis" in self.__dict__ else {}
        while node is not self.tree and (parent := known.get(node) or self._parents.get(node)) is not None:
            yield parent
            node = parent

    def enclosing(self, node: ast.AST, kind: type[N]) -> N | None:
        """The innermost `kind` around `node`, `node` itself included, within its own function."""
        for candidate in (node, *self.parents(node)):
            if isinstance(candidate, kind):
                return candidate
            if isinstance(candidate, (*FUNCTIONS, ast.Lambda, ast.ClassDef)):
                return None
        return None

    def function_of(self, node: ast.AST) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """The function whose body holds `node`; decorators, defaults and annotations belong to the code around it."""
        child = node
        for parent in self.parents(node):
            if isinstance(parent, FUNCTIONS) and any(child is one for one in parent.body):
                return parent
            child = parent
        return None

    def qualname(self, line: int) -> str:
        """The dotted name of the innermost function or class around a line; `<module>` outside of any."""
        found, best = "<module>", 0
        for node in ast.walk(self.tree):
            if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                if best <= first <= line <= (node.end_lineno or first):
                    names = [p.name for p in self.parents(node) if isinstance(p, (*FUNCTIONS, ast.ClassDef))]
                    found, best = ".".join([*reversed(names), node.name]), first
        return found

    def in_loop(self, node: ast.AST) -> bool:
        """Whether `node` runs once a round of a loop or comprehension around it, in its own function."""
        child = node
        for parent in self.parents(node):
            if isinstance(parent, (*FUNCTIONS, ast.Lambda, ast.ClassDef)):
                return False
            once: list[ast.AST] = []
            if isinstance(parent, ast.For | ast.AsyncFor):
                once = [parent.iter, *parent.orelse]
            elif isinstance(parent, ast.While):
                once = list(parent.orelse)
            elif isinstance(parent, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
                once = [parent.generators[0]]
            else:
                child = parent
                continue
            if not any(child is part for part in once):
                return True
            child = parent
        return False

    def character(self, line: int, byte: int) -> int:
        """A column in characters from one in UTF-8 bytes."""
        text = self.line(line)
        return byte if text.isascii() else len(text.encode()[:byte].decode(errors="ignore"))

    def location(self, node: ast.AST) -> Location:
        """Where an expression or statement stands."""
        assert isinstance(node, ast.expr | ast.stmt)
        end_line = node.end_lineno or node.lineno
        end = self.character(end_line, node.end_col_offset or 0)
        return Location(self.path, node.lineno, self.character(node.lineno, node.col_offset), end_line, end)

    def segment(self, node: ast.AST) -> str:
        """The text of a node."""
        return ast.get_source_segment(self.text, node) or ""

    def node_at(self, line: int, column: int | None, end_line: int | None, end_column: int | None) -> ast.AST | None:
        """The node Dynamo's span (columns in bytes) stands for: the exact one, else a call that ends there.

        A chain of calls over several lines is reported from its last line on, so the end decides. Without columns:
        the statement that begins on the line, or goes on there. None where nothing fits, or more than one.
        """
        if column is None or end_column is None:
            return self._statement_at(line)
        spanned = [node for node in ast.walk(self.tree) if isinstance(node, ast.expr | ast.stmt)]
        ending = [n for n in spanned if n.end_col_offset == end_column and n.end_lineno == (end_line or line)]
        exact = [node for node in ending if (node.lineno, node.col_offset) == (line, column)]
        if not exact and end_line is None:  # the report lacks the end line: the start must do
            exact = [n for n in spanned if (n.lineno, n.col_offset, n.end_col_offset) == (line, column, end_column)]
        calls = [node for node in ending if isinstance(node, ast.Call)]
        return exact[-1] if exact else calls[0] if calls else None

    def _statement_at(self, line: int) -> ast.stmt | None:
        statements = [node for node in ast.walk(self.tree) if isinstance(node, ast.stmt)]
        beginning = [node for node in statements if node.lineno == line]
        outer = [node for node in beginning if not any(parent in beginning for parent in self.parents(node))]
        if beginning:
            return outer[0] if len(outer) == 1 else None
        going_on = [node for node in statements if node.lineno < line <= _last_line(node)]
        return going_on[-1] if going_on else None


def _last_line(node: ast.stmt) -> int:
    """The last line of a statement, that of its head where it has a body."""
    body = getattr(node, "body", None) or getattr(node, "cases", None)
    if isinstance(body, list):
        first = body[0].pattern if isinstance(body[0], ast.match_case) else body[0]
        return int(first.lineno) - 1
    return node.end_lineno or node.lineno


def guilty_part(node: ast.AST) -> ast.AST:
    """The expression to show for a node: the condition of a branch, the iterable of a loop, the manager of a
    `with`, else the node itself."""
    if isinstance(node, ast.If | ast.While | ast.IfExp | ast.Assert):
        return node.test
    if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
        return node.iter
    if isinstance(node, ast.With | ast.AsyncWith) and len(node.items) == 1:
        return node.items[0].context_expr
    if isinstance(node, ast.Expr):
        return node.value
    return node
