"""Replaces one node by a template: libcst keeps every space and comment that the template does not touch.

This module and those it uses are the only ones that import libcst (0.3 s), and only once a fix is asked for. Rules find
nodes with `ast`, whose positions are Dynamo's own, and say in a template what should stand there instead.
"""

from __future__ import annotations

import ast
import difflib
import io
import tokenize
import warnings
from collections.abc import Iterator, Mapping, Sequence

import libcst as cst
from libcst.codemod import CodemodContext
from libcst.codemod.visitors import AddImportsVisitor

from graphfix.errors import CannotRewrite
from graphfix.model import Edit
from graphfix.source._places import Places
from graphfix.source._shape import Part, shape
from graphfix.source._template import Template, parenthesized
from graphfix.source.module import Module
from graphfix.source.names import torch_name

__all__ = ["CannotRewrite", "Part", "edits_between", "replace"]


def replace(module: Module, old: ast.AST, template: str, parts: Mapping[str, Part]) -> tuple[Edit, ...]:
    """Edits that put `template` in place of `old`, each `{name}` in it filled with that part.

    A placeholder alone on its line takes statements, any other one an expression, in parentheses where needed.
    `{torch}` is the module's own name for torch; where it has none, `import torch` is added. Comments of `old` that
    the template would drop are kept above the new code. The result is parsed and compared with what the template
    means. Raises CannotRewrite where it would mean something else, and where the place cannot take the template.
    """
    bound = torch_name(module, old) if "{torch}" in template else "torch"
    try:
        tree = cst.parse_module(module.text)
        places = Places(module, tree)
        filling = Template(template, parts, bound or "torch", tree, places)
        put = _put_statements if isinstance(old, ast.stmt) else _put_expression
        swapped = put(module, tree, places, old, filling)
        if bound is None:
            context = CodemodContext()
            AddImportsVisitor.add_needed_import(context, "torch")
            swapped = AddImportsVisitor(context).transform_module(swapped)
        return tuple(edits_between(module, _onto(module.text, tree.code, swapped.code)))
    except (cst.ParserSyntaxError, SyntaxError, ValueError, RecursionError) as error:  # what libcst raises
        raise CannotRewrite(f"{module.path} cannot be rewritten: {error}.") from None


def edits_between(module: Module, new: str) -> Iterator[Edit]:
    """The line-wise edits that turn the module's text into `new`. Raises CannotRewrite where `new` is not Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(new, module.path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise CannotRewrite(f"the rewritten {module.path} would not parse: {error}.") from None
    before, after = _lines(module.text), _lines(new)
    starts = [0]
    for line in before:
        starts.append(starts[-1] + len(line))
    for a, b, c, d in _changes(before, after):
        yield Edit(module.path, starts[a], starts[b], "".join(after[c:d]))


def _put_statements(module: Module, tree: cst.Module, places: Places, old: ast.AST, filling: Template) -> cst.Module:
    assert isinstance(old, ast.stmt)
    statement = places.statement(old)
    made, plan = filling.statements(statement)
    new = _keep_lead(statement, made)
    suite = places.one_line_suite(old)
    original: cst.CSTNode = suite or statement

    def swap(new: list[cst.BaseStatement]) -> cst.Module:
        return _swap(tree, original, cst.IndentedBlock(new) if suite else new)

    lost = _lost_comments(module, swap(new))
    if lost:
        lines = [cst.EmptyLine(comment=cst.Comment(comment)) for comment in lost]
        first = new[0].with_changes(leading_lines=[*new[0].leading_lines, *lines])  # type: ignore[attr-defined]
        new = [first, *new[1:]]
    swapped = swap(new)
    if not _means(swapped, module, old, plan, filling):
        raise CannotRewrite(f"{module.path}:{old.lineno} cannot take these statements.")
    return swapped


def _put_expression(module: Module, tree: cst.Module, places: Places, old: ast.AST, filling: Template) -> cst.Module:
    original = places.expression(old)
    made, plan = filling.expression()
    if original.lpar:
        made = made.with_changes(lpar=[*original.lpar, *made.lpar], rpar=[*made.rpar, *original.rpar])
    for new in (made, parenthesized(made)):
        try:
            swapped = _swap(tree, original, new)
        except cst.CSTValidationError:  # `if(x):` needs a space without the parentheses
            continue
        if _means(swapped, module, old, [plan], filling):
            if _lost_comments(module, swapped):
                raise CannotRewrite("a comment inside the expression would be lost.")
            return swapped
    raise CannotRewrite(f"{module.path}:{module.location(old).line} cannot take this expression.")


def _means(swapped: cst.Module, module: Module, old: ast.AST, plan: Sequence[ast.AST], filling: Template) -> bool:
    """Whether the new code is the module with `old` replaced by the template and nothing else changed."""
    try:
        found = shape(ast.parse(swapped.code))
    except SyntaxError:
        return False
    return found == shape(module.tree, filling.slots, {old: plan})


def _keep_lead(old: cst.BaseStatement, new: list[cst.BaseStatement]) -> list[cst.BaseStatement]:
    """The blank lines and comments above `old` go above the first new statement."""
    lead = getattr(old, "leading_lines", ())
    first = new[0]
    own = [line for line in getattr(first, "leading_lines", ()) if line.comment is not None]
    return [first.with_changes(leading_lines=[*lead, *own]), *new[1:]]


def _swap(tree: cst.Module, old: cst.CSTNode, new: cst.CSTNode | list[cst.BaseStatement]) -> cst.Module:
    swapped = tree.visit(_Swap(old, new))
    assert isinstance(swapped, cst.Module)
    return swapped


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


def _lost_comments(module: Module, swapped: cst.Module) -> list[str]:
    """The comments of the module that the rewrite lost, in order."""
    kept = _comments(swapped.code)
    lost = []
    for comment in _comments(module.text):
        if comment in kept:
            kept.remove(comment)
        else:
            lost.append(comment)
    return lost


def _comments(text: str) -> list[str]:
    try:
        tokens = tokenize.generate_tokens(io.StringIO(text, newline="\n").readline)
        return [token.string for token in tokens if token.type == tokenize.COMMENT]
    except (tokenize.TokenError, SyntaxError):
        raise CannotRewrite("the comments of the file cannot be told from its code.") from None


def _onto(text: str, before: str, after: str) -> str:
    """`text` with the changes from `before` to `after`, where `before` is `text` as libcst prints it.

    The two differ in form feeds between statements, which libcst drops. Raises CannotRewrite for a change of a line
    with one, and where they differ in more.
    """
    if before == text:
        return after
    original, plain, new = _lines(text), _lines(before), _lines(after)
    if [line.replace("\f", "") for line in original] != [line.replace("\f", "") for line in plain]:
        raise CannotRewrite("the file has line endings that cannot be kept.")
    for a, b, c, d in reversed(list(_changes(plain, new))):
        if original[a:b] != plain[a:b]:
            raise CannotRewrite("a form feed would be lost.")
        original[a:b] = new[c:d]
    return "".join(original)


def _lines(text: str) -> list[str]:
    """The lines as the parser counts them, with their endings."""
    return list(io.StringIO(text, newline="\n"))


def _changes(before: list[str], after: list[str]) -> Iterator[tuple[int, int, int, int]]:
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    return (places for tag, *places in matcher.get_opcodes() if tag != "equal")  # type: ignore[misc]
