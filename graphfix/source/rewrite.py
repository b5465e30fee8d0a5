"""Replaces one node by a template: libcst keeps every space and comment that the template does not touch.

This is the only module that imports libcst (0.3 s), and only once a fix is asked for. Rules find nodes with `ast`,
whose positions are Dynamo's own, and say in a template what should stand there instead.
"""

from __future__ import annotations

import ast
import difflib
import re
import tokenize
from collections.abc import Iterator, Mapping, Sequence

import libcst as cst
from libcst.codemod import CodemodContext
from libcst.codemod.visitors import AddImportsVisitor
from libcst.metadata import MetadataWrapper, PositionProvider

from graphfix.errors import SourceError
from graphfix.model import Edit
from graphfix.source.module import Module

Part = ast.AST | Sequence[ast.stmt]
"""What a template's `{name}` may stand for: an expression, a statement or statements."""

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_PREFIX = "_graphfix_placeholder_"


class CannotRewrite(SourceError):
    """The place has a shape that the template cannot take (two statements on a line, an elif that would split)."""


def replace(module: Module, old: ast.AST, template: str, parts: Mapping[str, Part]) -> tuple[Edit, ...]:
    """Edits that put `template` in place of `old`, each `{name}` in it filled with that part.

    A placeholder alone on its line takes statements, any other one an expression, in parentheses where needed.
    `{torch}` is the module's own name for torch; where it has none, `import torch` is added. Comments of `old` that
    the template would drop are kept above the new code. Raises CannotRewrite.
    """
    tree = cst.parse_module(module.text)
    index = _Index(module, tree)
    needs_import = False
    names: dict[str, cst.BaseExpression] = {}
    if "{torch}" in template:
        bound = _torch_name(module)
        needs_import = bound is None
        names["torch"] = cst.Name(bound or "torch")
    text = _PLACEHOLDER.sub(lambda match: _PREFIX + match[1], template)
    new: cst.CSTNode | list[cst.BaseStatement]
    original: cst.CSTNode
    if isinstance(old, ast.stmt):
        original = statement = index.statement(old)
        filler = _Fill(index, parts, names, original)
        parsed = cst.parse_module(text.strip("\n") + "\n", config=tree.config_for_parsing).visit(filler)
        assert isinstance(parsed, cst.Module)
        new = _keep_lead(statement, list(parsed.body))
        if (suite := index.one_line_suite(old)) is not None:
            original, new = suite, cst.IndentedBlock(new)
    else:
        original = expression = index.expression(old)
        filler = _Fill(index, parts, names, original)
        made = cst.parse_expression(text.strip()).visit(filler)
        assert isinstance(made, cst.BaseExpression)
        new = _keep_parentheses(expression, made)
    swapped = tree.visit(_Swap(original, new))
    assert isinstance(swapped, cst.Module)
    swapped = _restore_comments(module, tree, swapped, original, new)
    if needs_import:
        context = CodemodContext()
        AddImportsVisitor.add_needed_import(context, "torch")
        swapped = AddImportsVisitor(context).transform_module(swapped)
    return tuple(edits_between(module, swapped.code))


def edits_between(module: Module, new: str) -> Iterator[Edit]:
    """The line-wise edits that turn the module's text into `new`. Raises CannotRewrite where `new` is not Python."""
    try:
        ast.parse(new)
    except SyntaxError as error:
        raise CannotRewrite(f"the rewritten {module.path} would not parse: {error}.") from None
    before, after = module.text.splitlines(keepends=True), new.splitlines(keepends=True)
    starts = [0]
    for line in before:
        starts.append(starts[-1] + len(line))
    for tag, a, b, c, d in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag != "equal":
            yield Edit(module.path, starts[a], starts[b], "".join(after[c:d]))


def _torch_name(module: Module) -> str | None:
    """The name that `import torch` binds at module level."""
    for node in module.tree.body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name == "torch" or (alias.name.startswith("torch.") and not alias.asname):
                    return alias.asname or "torch"
    return None


class _Index:
    """From the standard library's nodes to libcst's, by place."""

    def __init__(self, module: Module, tree: cst.Module) -> None:
        self._module = module
        self._at: dict[tuple[int, int], list[cst.CSTNode]] = {}
        self._parent: dict[cst.CSTNode, cst.CSTNode] = {}
        self._lines: dict[cst.CSTNode, cst.SimpleStatementLine] = {}
        self._spans: dict[cst.CSTNode, tuple[int, int]] = {}
        ranges = MetadataWrapper(tree, unsafe_skip_copy=True).resolve(PositionProvider)
        for node, span in ranges.items():
            self._at.setdefault((span.start.line, span.start.column), []).append(node)
            self._spans[node] = (span.end.line, span.end.column)
            for child in node.children:
                self._parent[child] = node

    def expression(self, node: ast.AST) -> cst.BaseExpression:
        place = self._module.location(node)
        for found in self._at.get((place.line, place.column or 0), ()):
            if isinstance(found, cst.BaseExpression) and self._spans[found] == (place.end_line, place.end_column):
                return found
        raise CannotRewrite(f"{place.path}:{place.line} has an expression that cannot be placed.")

    def statement(self, node: ast.stmt) -> cst.BaseStatement:
        """The statement with its line: its leading comments and the comment behind it."""
        place = self._module.location(node)
        simple = not hasattr(node, "body")
        for found in self._at.get((place.line, place.column or 0), ()):
            if simple and isinstance(found, cst.BaseSmallStatement):
                line = self._parent.get(found)
                if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1:
                    return line
                if isinstance(line, cst.SimpleStatementSuite) and len(line.body) == 1:
                    return self._lines.setdefault(
                        found, cst.SimpleStatementLine([found], trailing_whitespace=line.trailing_whitespace)
                    )
                break
            if isinstance(found, cst.BaseCompoundStatement):
                return found
        raise CannotRewrite(f"{place.path}:{place.line} has several statements on one line.")

    def one_line_suite(self, node: ast.stmt) -> cst.SimpleStatementSuite | None:
        """The body of `if test: statement` that the statement alone makes up."""
        place = self._module.location(node)
        parents = (self._parent.get(found) for found in self._at.get((place.line, place.column or 0), ()))
        return next((parent for parent in parents if isinstance(parent, cst.SimpleStatementSuite)), None)


class _Fill(cst.CSTTransformer):
    """Puts the parts in place of a parsed template's placeholders."""

    def __init__(
        self, index: _Index, parts: Mapping[str, Part], names: Mapping[str, cst.BaseExpression], old: cst.CSTNode
    ) -> None:
        super().__init__()
        self._index, self._parts, self._names, self._old = index, parts, names, old

    def leave_SimpleStatementLine(  # noqa: N802 (libcst's naming)
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement]:
        part = self._statement_part(original_node)
        if part is None:
            return updated_node
        statements = [part] if isinstance(part, ast.stmt) else list(part)
        return cst.FlattenSentinel([self._statement(statement) for statement in statements])

    def _statement(self, statement: ast.stmt) -> cst.BaseStatement:
        """The statement; without the lines above it where it is the one replaced, since those stay where they are."""
        found = self._index.statement(statement)
        return found.with_changes(leading_lines=[]) if found is self._old else found

    def _statement_part(self, line: cst.SimpleStatementLine) -> ast.stmt | Sequence[ast.stmt] | None:
        only = line.body[0]
        if len(line.body) == 1 and isinstance(only, cst.Expr) and isinstance(only.value, cst.Name):
            part = self._parts.get(only.value.value.removeprefix(_PREFIX))
            if isinstance(part, ast.stmt) or (part is not None and not isinstance(part, ast.AST)):
                return part
        return None

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:  # noqa: N802
        if not original_node.value.startswith(_PREFIX):
            return updated_node
        name = original_node.value.removeprefix(_PREFIX)
        if name in self._names:
            return self._names[name]
        part = self._parts[name]
        if isinstance(part, ast.expr):
            return _parenthesized(self._index.expression(part))
        return updated_node

    def leave_Expr(self, original_node: cst.Expr, updated_node: cst.Expr) -> cst.Expr:  # noqa: N802
        return updated_node.with_changes(value=_bare(updated_node.value))

    def leave_Arg(self, original_node: cst.Arg, updated_node: cst.Arg) -> cst.Arg:  # noqa: N802
        return updated_node.with_changes(value=_bare(updated_node.value))

    def leave_If(self, original_node: cst.If, updated_node: cst.If) -> cst.If:  # noqa: N802
        return updated_node.with_changes(test=_bare(updated_node.test))


_ATOMS = (cst.Name, cst.Attribute, cst.Call, cst.Subscript, cst.BaseNumber, cst.BaseString, cst.BaseList, cst.BaseDict)
_TIGHT = (*_ATOMS, cst.Comparison, cst.UnaryOperation, cst.BinaryOperation)


def _parenthesized(node: cst.BaseExpression) -> cst.BaseExpression:
    """Parentheses around what an `and`, `if … else` or comma beside it could tear apart."""
    if node.lpar or isinstance(node, _TIGHT):
        return node
    return node.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])


def _bare(node: cst.BaseExpression) -> cst.BaseExpression:
    """Without the parentheses that `_parenthesized` added, where the place itself delimits the expression."""
    plain = len(node.lpar) == 1 and node.lpar[0].deep_equals(cst.LeftParen()) and isinstance(node, cst.BooleanOperation)
    return node.with_changes(lpar=[], rpar=[]) if plain and _one_line(node) else node


def _one_line(node: cst.CSTNode) -> bool:
    return "\n" not in cst.Module([]).code_for_node(node)


def _keep_parentheses(old: cst.BaseExpression, new: cst.BaseExpression) -> cst.BaseExpression:
    if isinstance(new, _ATOMS) or new.lpar:
        return new.with_changes(lpar=[*old.lpar, *new.lpar], rpar=[*new.rpar, *old.rpar]) if old.lpar else new
    if old.lpar:
        return new.with_changes(lpar=old.lpar, rpar=old.rpar)
    return new


def _keep_lead(
    old: cst.BaseStatement, new: list[cst.SimpleStatementLine | cst.BaseCompoundStatement]
) -> list[cst.BaseStatement]:
    """The blank lines and comments above `old` go above the first new statement."""
    lead = getattr(old, "leading_lines", ())
    first = new[0]
    own = [line for line in getattr(first, "leading_lines", ()) if line.comment is not None]
    return [first.with_changes(leading_lines=[*lead, *own]), *new[1:]]


class _Swap(cst.CSTTransformer):
    def __init__(self, old: cst.CSTNode, new: cst.CSTNode | list[cst.BaseStatement]) -> None:
        super().__init__()
        self._old, self._new = old, new
        self._in_elif: set[cst.CSTNode] = set()

    def visit_If(self, node: cst.If) -> None:  # noqa: N802 (libcst's naming)
        if isinstance(node.orelse, cst.If):
            self._in_elif.add(node.orelse)

    def on_leave(  # type: ignore[override]
        self, original_node: cst.CSTNode, updated_node: cst.CSTNode
    ) -> cst.CSTNode | cst.FlattenSentinel[cst.BaseStatement]:
        if original_node is not self._old:
            return super().on_leave(original_node, updated_node)  # type: ignore[arg-type, return-value]
        if not isinstance(self._new, list):
            return self._new
        if original_node in self._in_elif:
            if len(self._new) == 1 and isinstance(self._new[0], cst.If):
                return self._new[0]
            raise CannotRewrite("an elif cannot become several statements.")
        return cst.FlattenSentinel(self._new)


def _restore_comments(
    module: Module,
    tree: cst.Module,
    swapped: cst.Module,
    original: cst.CSTNode,
    new: cst.CSTNode | list[cst.BaseStatement],
) -> cst.Module:
    """Comments that the rewrite lost, put above the new statement."""
    kept = _comments(swapped.code)
    lost = []
    for comment in _comments(module.text):
        if comment in kept:
            kept.remove(comment)
        else:
            lost.append(comment)
    if not lost:
        return swapped
    if not isinstance(new, list):
        raise CannotRewrite("a comment inside the expression would be lost.")
    lines = [cst.EmptyLine(comment=cst.Comment(comment)) for comment in lost]
    first = new[0].with_changes(leading_lines=[*new[0].leading_lines, *lines])  # type: ignore[attr-defined]
    again = tree.visit(_Swap(original, [first, *new[1:]]))
    assert isinstance(again, cst.Module)
    return again


def _comments(text: str) -> list[str]:
    lines = iter(text.splitlines(keepends=True))
    try:
        return [t.string for t in tokenize.generate_tokens(lambda: next(lines, "")) if t.type == tokenize.COMMENT]
    except (tokenize.TokenError, IndentationError, SyntaxError):
        return []
