"""Replaces one node by a template: libcst keeps every space and comment that the template does not touch.

This module and those it uses are the only ones that import libcst (0.3 s), and only once a fix is asked for. Rules find
nodes with `ast`, whose positions are Dynamo's own, and say in a template what should stand there instead.
"""

from __future__ import annotations

import ast
import io
import tokenize
import warnings
from collections.abc import Iterator, Mapping, Sequence

import libcst as cst

from graphfix.errors import CannotRewrite
from graphfix.model import Edit
from graphfix.source._shape import Part, Swaps, shape
from graphfix.source._swap import swap as swap_node
from graphfix.source._template import Template, modules_of, parenthesized
from graphfix.source._wrap import too_long, wrapped
from graphfix.source.imports import importing
from graphfix.source.module import Module
from graphfix.source.names import import_name
from graphfix.source.text import lines
from graphfix.source.window import Window, code, line_changes, window

__all__ = ["CannotRewrite", "Part", "edits_between", "replace"]


def replace(module: Module, old: Part, template: str, parts: Mapping[str, Part]) -> tuple[Edit, ...]:
    """Edits that put `template` in place of `old`, each `{name}` in it filled with that part.

    `old` may be several statements that follow one another.

    A placeholder alone on its line takes statements, any other one an expression, in parentheses where needed.
    `{torch}`, or another module's name that no part has, is the file's own name for that module; where it has none,
    the import is added. Comments of `old` that the template would drop are kept above the new code. The result is
    parsed and compared with what the template
    means. Raises CannotRewrite where it would mean something else, and where the place cannot take the template.
    """
    run = list(_nodes({"old": old}))
    names = {wanted: import_name(module, run[0], wanted) for wanted in modules_of(template, parts)}
    try:
        seen = window(module, [*run, *_nodes(parts)])
        filling = Template(template, parts, names, seen.tree, seen.places)
        statements = [node for node in run if isinstance(node, ast.stmt)]
        if statements:
            new = _put_statements(module, seen, statements, filling)
        else:
            new = _put_expression(module, seen, run[0], filling)
        missing = [wanted for wanted, name in names.items() if name is None]
        return tuple(edits_between(module, importing(new, missing)))
    except (cst.ParserSyntaxError, SyntaxError, ValueError, RecursionError) as error:  # what libcst raises
        raise CannotRewrite(f"{module.path} cannot be rewritten: {error}.") from None


def _nodes(parts: Mapping[str, Part]) -> Iterator[ast.AST]:
    for part in parts.values():
        yield from [part] if isinstance(part, ast.AST) else part


def edits_between(module: Module, new: str) -> Iterator[Edit]:
    """The line-wise edits that turn the module's text into `new`. Raises CannotRewrite where `new` is not Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(new, module.path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise CannotRewrite(f"the rewritten {module.path} would not parse: {error}.") from None
    before, after = lines(module.text), lines(new)
    starts = [0]
    for line in before:
        starts.append(starts[-1] + len(line))
    for a, b, c, d in line_changes(before, after):
        yield Edit(module.path, starts[a], starts[b], "".join(after[c:d]))


def _put_statements(module: Module, seen: Window, run: Sequence[ast.stmt], filling: Template) -> str:
    """The text with the template in place of the first statement of a run, and the others left out."""
    old, *others = run
    statement, *gone = map(seen.places.statement, run)
    made, plan = filling.statements(statement)
    new = _keep_lead(statement, made)
    suite = seen.places.one_line_suite(old)
    original: cst.CSTNode = suite or statement

    def swap(new: list[cst.BaseStatement]) -> cst.Module:
        return swap_node(seen.tree, seen.places, original, cst.IndentedBlock(new) if suite else new, gone)

    swapped = swap(new)
    if lost := _lost_comments(seen, swapped):
        comments = [cst.EmptyLine(comment=cst.Comment(comment)) for comment in lost]
        first = new[0].with_changes(leading_lines=[*new[0].leading_lines, *comments])  # type: ignore[attr-defined]
        swapped = swap([first, *new[1:]])
    text = seen.module_with(swapped)
    if not _means(text, module, {old: plan, **{other: [] for other in others}}, filling):
        raise CannotRewrite(f"{module.path}:{old.lineno} cannot take these statements.")
    return text


def _put_expression(module: Module, seen: Window, old: ast.AST, filling: Template) -> str:
    original = seen.places.expression(old)
    made, plan = filling.expression()
    if original.lpar:
        made = made.with_changes(lpar=[*original.lpar, *made.lpar], rpar=[*made.rpar, *original.rpar])

    def put(place: cst.CSTNode, new: cst.CSTNode) -> str | None:
        try:
            swapped = swap_node(seen.tree, seen.places, place, new)
        except cst.CSTValidationError:  # `if(x):` needs a space without the parentheses
            return None
        text = seen.module_with(swapped)
        if not _means(text, module, {old: [plan]}, filling):
            return None
        if _lost_comments(seen, swapped):
            raise CannotRewrite("a comment inside the expression would be lost.")
        return text

    for new in (made, parenthesized(made)):
        if (text := put(original, new)) is not None:
            if too_long(text, module):
                line = module.line(module.location(old).line)
                margin = line[: len(line) - len(line.lstrip())]
                layouts = wrapped(seen.places, seen.tree, original, made, margin)
                texts = [text, *filter(None, (put(*layout) for layout in layouts))]
                return min(texts, key=lambda found: too_long(found, module))
            return text
    raise CannotRewrite(f"{module.path}:{module.location(old).line} cannot take this expression.")


def _means(text: str, module: Module, swaps: Swaps, filling: Template) -> bool:
    """Whether the new code is the module with these nodes replaced by others and nothing else changed."""
    try:
        found = shape(ast.parse(text))
    except SyntaxError:
        return False
    return found == shape(module.tree, filling.slots, swaps)


def _keep_lead(old: cst.BaseStatement, new: list[cst.BaseStatement]) -> list[cst.BaseStatement]:
    """The blank lines and comments above `old` go above the first new statement."""
    lead = getattr(old, "leading_lines", ())
    first = new[0]
    own = [line for line in getattr(first, "leading_lines", ()) if line.comment is not None]
    return [first.with_changes(leading_lines=[*lead, *own]), *new[1:]]


def _lost_comments(seen: Window, swapped: cst.Module) -> list[str]:
    """The comments that the rewrite lost, in order."""
    kept = _comments(code(swapped))
    lost = []
    for comment in _comments(seen.text):
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
