"""Who calls a function in its own module, and with what."""

from __future__ import annotations

import ast

from graphfix.source.flow import Flow
from graphfix.source.outline import Function, Outline

Call = tuple[ast.Call, bool]
"""A call, and whether its first argument is the second parameter, as in a call of a method."""


class Callers:
    """The calls in the code that was walked before the first question."""

    def __init__(self, flow: Flow, outline: Outline) -> None:
        self._flow, self._outline = flow, outline
        self._by_name: dict[str, list[tuple[Function, ast.Call]]] | None = None
        self._known: dict[Function, list[Call]] = {}

    def of(self, function: Function) -> list[Call]:
        """The calls that the text shows to be of this function."""
        if function not in self._known:
            if self._by_name is None:
                self._by_name = self._index()
            named = self._by_name.get(function.node.name, ())
            self._known[function] = [(call, bound) for caller, call in named
                                     if (bound := self._binds(caller, call, function)) is not None]  # fmt: skip
        return self._known[function]

    def _index(self) -> dict[str, list[tuple[Function, ast.Call]]]:
        found: dict[str, list[tuple[Function, ast.Call]]] = {}
        own = {function.node.name for function in self._outline.all}
        for walked in list(self._flow.walked.values()):
            for node in walked.nodes.get(ast.Call, ()):
                assert isinstance(node, ast.Call)
                called = node.func
                name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
                if name in own:
                    found.setdefault(name, []).append((walked.function, node))
        return found

    def _binds(self, caller: Function, call: ast.Call, function: Function) -> bool | None:
        """Whether a call of this name binds the first parameter; None where it is no call of the function."""
        if isinstance(call.func, ast.Name):
            env = self._flow.environment(call)
            local = env.get(call.func.id) if env is not None else None
            if local is None:
                return False if self._outline.functions.get(call.func.id) is function else None
            return False if len(local) == 1 and local[0].node is function.node else None
        root = call.func.value if isinstance(call.func, ast.Attribute) else None
        if not isinstance(root, ast.Name) or root.id not in ("self", "cls"):
            return None
        while caller.outer is not None:
            caller = caller.outer
        if caller.owner is None or self._outline.method(caller.owner, function.node.name) is not function:
            return None
        decorators = {one.id for one in function.node.decorator_list if isinstance(one, ast.Name)}
        return "staticmethod" not in decorators


def argument(call: ast.Call, function: Function, arg: ast.arg, bound: bool) -> ast.expr | None:
    """What a call gives for a parameter, None where it gives nothing or the text does not show it."""
    named = next((keyword.value for keyword in call.keywords if keyword.arg == arg.arg), None)
    places = [*function.node.args.posonlyargs, *function.node.args.args]
    if named is not None or arg not in places:
        return named
    place = places.index(arg) - bound
    before = call.args[: place + 1]
    if not 0 <= place < len(call.args) or any(isinstance(one, ast.Starred) for one in before):
        return None
    return call.args[place]
