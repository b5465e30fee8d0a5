"""What the rules on progress bars share: which calls make one, and what it goes over."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

from graphfix.rule import Rewrite, Site
from graphfix.source.module import Module

from ._effects import eager_only, is_bar
from ._match import dotted, is_harmless

_NAMED_BAR = re.compile(r"_?(get_|make_|create_)?(\w*progress_?bar|p_?bar|progress|with_progress)$", re.IGNORECASE)

Parts = dict[str, ast.expr]


def is_library_bar(module: Module, node: ast.AST) -> bool:
    """A bar of tqdm, rich and their like."""
    return is_bar(module, node)


def is_named_bar(module: Module, node: ast.AST) -> bool:
    """A call of something that is named as a progress bar, of whatever origin."""
    return isinstance(node, ast.Call) and _NAMED_BAR.match(dotted(node.func).rpartition(".")[2]) is not None


def bar_items(module: Module, bar: ast.Call) -> tuple[str, Parts] | None:
    """What a progress bar goes over, as a template and its parts: its first argument, or the range of `trange`.

    None where it goes over nothing, or where its other arguments do more than say how it looks.
    """
    if not all(is_harmless(module, word.value) for word in bar.keywords if word.arg not in {"iterable", "sequence"}):
        return None
    if any(isinstance(argument, ast.Starred) for argument in bar.args):
        return None
    last = dotted(bar.func).rpartition(".")[2]
    if last in {"trange", "tnrange"} and bar.args:
        parts = {f"bound{number}": bound for number, bound in enumerate(bar.args)}
        return f"range({', '.join(f'{{{part}}}' for part in parts)})", parts
    if not all(is_harmless(module, argument) for argument in bar.args[1:]):
        return None
    named = [word.value for word in bar.keywords if word.arg in {"iterable", "sequence", "it"}]
    items = (*bar.args[:1], *named)
    return ("{items}", {"items": items[0]}) if items else None


def bar_at(site: Site, is_one: Callable[[Module, ast.AST], bool]) -> ast.Call | None:
    """The bar that a break is about: the one at its node or around it, else the first in the head of its loop."""
    for node in (site.node, *site.module.parents(site.node)):
        if isinstance(node, ast.Call) and is_one(site.module, node):
            return node
        generators = getattr(node, "generators", ())
        heads = [one.iter for one in (*generators, node) if isinstance(one, ast.For | ast.comprehension)]
        if isinstance(node, ast.stmt) and not isinstance(node, ast.For | ast.With):
            heads.append(node)  # type: ignore[arg-type]
        for head in heads:
            if (found := _first(site.module, head, is_one)) is not None:
                return found
        if isinstance(node, ast.stmt):
            return None
    return None


def _first(module: Module, head: ast.AST, is_one: Callable[[Module, ast.AST], bool]) -> ast.Call | None:
    calls = (node for node in ast.walk(head) if isinstance(node, ast.Call))
    return next((call for call in calls if is_one(module, call) and not eager_only(module, call)), None)


def without_bar(site: Site, bar: ast.Call) -> Rewrite | None:
    """The items themselves while compiling, the bar around them in eager code."""
    found = bar_items(site.module, bar)
    if found is None or eager_only(site.module, bar):
        return None
    template, parts = found
    template += " if {torch}.compiler.is_compiling() else {bar}"
    parent = next(site.module.parents(bar), None)
    if isinstance(parent, ast.comprehension):  # its own `if` comes after
        template = f"({template})"
    return site.replace(bar, template, bar=bar, **parts)
