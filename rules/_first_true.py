"""The first and the last place where a mask of one dimension is true, looked up without the others."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import replace

from graphfix.model import Location
from graphfix.rule import Rewrite, Site
from graphfix.source.module import Module

from ._condition import Build
from ._dims import changes_in_place, owner_of
from ._lengths import statement_of
from ._masks import gives_tuple, mask_of_places
from ._match import block_of, is_atom, is_boolean, is_pure
from ._reads import parent

_SAME = dict.fromkeys((".flatten()", ".view(-1)", ".reshape(-1)", ".detach()"), "places")
_STEPS = {
    "tuple": {"[0]": "places"},
    "rows": {
        **_SAME,
        **dict.fromkeys((".squeeze(1)", ".squeeze(-1)", ".squeeze(dim=1)", ".squeeze(dim=-1)", "[:, 0]"), "places"),
        ".detach()": "rows",
        "[0]": "first row",
        "[-1]": "last row",
        "[0, 0]": "first",
        "[-1, 0]": "last",
        ".min()": "first",
        ".max()": "last",
    },
    "places": {**_SAME, "[0]": "first", "[-1]": "last", ".min()": "first", ".max()": "last"},
    "first row": {"[0]": "first"},
    "last row": {"[0]": "last"},
}
"""What the text behind places of a mask makes of them."""
LOOKED_UP = {"first": ".long().argmax()", "last": ".cumsum(0).argmax()"}
_NOT_ALWAYS = (ast.IfExp, ast.BoolOp, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def first_or_last(site: Site) -> Rewrite | None:
    """`m.nonzero()[0, 0]`, or names of places of which only the first or the last are read, without the places.

    In the dual form: eager code raises an IndexError where there is none, and compiled code asserts that there is one.
    A name still stands for places, the first or the last of them or both, so that code may read it that no longer
    compiles. None where the code uses the places in another way as well, or may never read them.
    """
    module, call, mask = site.module, site.node, mask_of_places(site.node)
    if mask is None or not isinstance(call, ast.Call) or any(mark in ast.unparse(mask) for mark in '{"\\'):
        return None
    places, what = follow(module, call, "tuple" if gives_tuple(call) else "rows")
    if what in LOOKED_UP:
        return _chained(site, mask, places, what) if is_pure(mask) else None
    return _named(site, mask, places, what)


def follow(module: Module, node: ast.expr, what: str) -> tuple[ast.expr, str]:
    """The largest expression around places of a mask of which it is known what it is, and that."""
    while True:
        whole = parent(module, node)
        if isinstance(whole, ast.Attribute):
            whole = parent(module, whole)
        if not isinstance(whole, ast.Call | ast.Subscript) or isinstance(getattr(whole, "ctx", None), ast.Store):
            return node, what
        text, inner = ast.unparse(whole), ast.unparse(node)
        step = _STEPS.get(what, {}).get(text.removeprefix(inner)) if text.startswith(inner) else None
        if step is None:
            return node, what
        node, what = whole, step


def _chained(site: Site, mask: ast.expr, place: ast.expr, what: str) -> Rewrite | None:
    text = _atom(mask)
    if not is_boolean(site.module, mask):
        text = f"({text} != 0)"
    statement = statement_of(site.module, place)
    if statement is None or isinstance(statement, ast.While) or not _always(site.module, place):
        return None
    looked_up = site.replace_each([(place, text + LOOKED_UP[what], {})])
    return site.together(site.before(statement, _assertion(site, text)), looked_up)


def _atom(node: ast.expr) -> str:
    return ast.unparse(node) if is_atom(node) else f"({ast.unparse(node)})"


def _named(site: Site, mask: ast.expr, places: ast.expr, what: str) -> Rewrite | None:
    module, statement = site.module, parent(site.module, places)
    target, what = bound(statement, what)
    function, owner = module.function_of(places), owner_of(mask)
    if not isinstance(statement, ast.Assign | ast.AnnAssign) or target is None or function is None:
        return None
    if owner and changes_in_place(function, owner):  # the places would stay as they were
        return None
    names = [node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == target.id]
    loads = [node for node in names if isinstance(node.ctx, ast.Load) and node.lineno > statement.lineno]
    reads = [follow(module, node, what) for node in loads]
    ends = {end for _, end in reads}
    if len(names) != len(loads) + 1 or not ends <= set(LOOKED_UP):
        return None
    if not any(_is_sure(module, statement, read) for read, _ in reads):
        return None
    value = "{mask}" if is_boolean(module, mask) else "{mask} != 0"
    found = [f"{target.id}{text}" for end, text in LOOKED_UP.items() if end in ends]
    made = f"{found[0]}[None]" if len(found) == 1 else f"{{torch}}.stack(({', '.join(found)}))"
    made = {"rows": f"{made}[:, None]", "tuple": f"({made},)"}.get(what, made)
    lines = [f"{target.id} = {value}", _assertion(site, target.id), f"{target.id} = {made}"]
    rewrite = site.replace(statement, "\n".join(lines) + "\n", mask=mask)
    return rewrite and replace(rewrite, onward=tuple(_hidden(module, [read for read, _ in reads])))


def _is_sure(module: Module, statement: ast.stmt, read: ast.expr) -> bool:
    """Whether what assigns places always leads to a read of them, which fails where there are none."""
    holder, reader = parent(module, statement), statement_of(module, read)
    block = block_of(holder, statement) if holder is not None else []
    if reader is None or reader not in block or not _always(module, read):
        return False
    between = block[block.index(statement) + 1 : block.index(reader)]
    leaves = (ast.Return, ast.Raise, ast.Break, ast.Continue)
    return not any(isinstance(node, leaves) for one in between for node in ast.walk(one))


def _always(module: Module, read: ast.expr) -> bool:
    """Whether a statement always evaluates a part of it, and nothing catches what that raises."""
    around = list(module.parents(read))
    return not any(isinstance(one, _NOT_ALWAYS) or (isinstance(one, ast.Try) and one.handlers) for one in around)


def _hidden(module: Module, reads: Sequence[ast.expr]) -> Iterator[Location]:
    """The reads that are an index in a loop: the graph may break there, which the break at the places hid so far."""
    for read in reads:
        above = parent(module, read)
        if isinstance(above, ast.Subscript) and above.slice is read and module.in_loop(read):
            yield module.location(above)


def bound(statement: ast.AST | None, what: str) -> tuple[ast.Name | None, str]:
    """The name that an assignment binds, and what it stands for; `(hits,) = …` takes its value out of a tuple."""
    target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
    if isinstance(statement, ast.AnnAssign):
        target = statement.target
    if isinstance(target, ast.Tuple | ast.List) and len(target.elts) == 1 and what == "tuple":
        target, what = target.elts[0], "places"
    return (target, what) if isinstance(target, ast.Name) else (None, what)


def _assertion(site: Site, mask: str) -> str:
    """The statement that asserts on the device that a mask has a place, and one dimension."""
    said = f"graphfix: {mask[1:-1] if mask.startswith('(') else mask} is true nowhere, or not of one dimension"
    text = f'{{torch}}._assert_async({mask}.any() & ({mask}.dim() == 1), "{said}")'
    return Build(site.module, site.node).wrapped(text)
