"""Lists that a function fills one element after the other, for one call that takes the whole list."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from graphfix.source.module import Module

from ._reads import parent


@dataclass(frozen=True, slots=True)
class Collected:
    """What becomes an element of a list, and the call that takes the list."""

    elements: Sequence[ast.expr]
    call: ast.Call


def collected(module: Module, element: ast.expr) -> Collected | None:
    """The list that gets an element by `append`, a comprehension, or a display with a name, if one call alone takes it.

    The call may hold the comprehension itself.
    """
    above = parent(module, element)
    if isinstance(above, ast.Call) and isinstance(above.func, ast.Attribute) and above.args == [element]:
        return _in_name(module, above.func.value) if above.func.attr == "append" else None
    if not isinstance(above, ast.ListComp | ast.List) or not _is_element(above, element):
        return None
    taker = parent(module, above)
    if isinstance(above, ast.ListComp) and isinstance(taker, ast.Call) and taker.args[:1] == [above]:
        return Collected([above.elt], taker)
    if isinstance(taker, ast.Assign) and len(taker.targets) == 1:
        return _in_name(module, taker.targets[0])
    return None


def _is_element(made: ast.ListComp | ast.List, node: ast.expr) -> bool:
    return made.elt is node if isinstance(made, ast.ListComp) else node in made.elts


def _elements(made: ast.ListComp | ast.List) -> list[ast.expr]:
    return [made.elt] if isinstance(made, ast.ListComp) else made.elts


def _in_name(module: Module, name: ast.expr) -> Collected | None:
    """The list of a local name that is made once, appended to, and taken by one call."""
    function = module.function_of(name)
    if not isinstance(name, ast.Name) or function is None:
        return None
    elements: list[ast.expr] = []
    made = 0
    takers: list[ast.Call] = []
    for one in ast.walk(function):
        if not isinstance(one, ast.Name) or one.id != name.id:
            continue
        above = parent(module, one)
        value = above.value if isinstance(above, ast.Assign) and above.targets == [one] else None
        if isinstance(value, ast.ListComp | ast.List):
            made += 1
            elements += _elements(value)
        elif (appended := _appended(module, one)) is not None:
            elements.append(appended)
        elif isinstance(above, ast.Call) and above.args[:1] == [one]:
            takers.append(above)
        else:
            return None
    return Collected(elements, takers[0]) if made == len(takers) == 1 else None


def _appended(module: Module, name: ast.Name) -> ast.expr | None:
    """The element of the statement `name.append(element)` around a name."""
    method = parent(module, name)
    call = parent(module, method) if isinstance(method, ast.Attribute) and method.attr == "append" else None
    if not isinstance(call, ast.Call) or len(call.args) != 1 or not isinstance(parent(module, call), ast.Expr):
        return None
    return call.args[0]
