"""What one module's text shows to those who look for graph breaks: live code, values, reach."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from functools import cached_property

from graphfix.source.flow import Flow, Walked
from graphfix.source.inference import Inference
from graphfix.source.module import FUNCTIONS
from graphfix.source.outline import Function, outline
from graphfix.source.reach import Reached, may_compile
from graphfix.source.values import Kind, Value


class Analysis:
    """Everything is worked out once, when it is first asked for. Raises RecursionError where code nests too deeply.

    With `entries` only what compiled code runs is searched (see `Module`).
    """

    def __init__(self, tree: ast.Module, text: str, entries: frozenset[str] | None = None) -> None:
        self._gives = tree if may_compile(text) else None
        self._entries = entries
        self.outline = outline(tree)
        self.flow = Flow(self.outline.parents, ":=" in text)
        for function in self.outline.all if entries is None else ():
            if function.outer is None and (self._gives or not function.is_special):  # those only if somebody asks
                self.flow.walk(function, {})
        self.inference = Inference(self.flow, self.outline)

    @cached_property
    def reached(self) -> Reached:
        """Which functions a compiled region runs."""
        return Reached(self.outline, self.flow, self.inference, self._gives, self._entries or ())

    def nodes(self, *kinds: type[ast.AST]) -> Iterator[ast.AST]:
        """The live nodes of these classes (statements and the larger expressions, `flow._RECORDED`) in all functions,
        those left out that Dynamo never traces."""
        for walked in self._searched:
            for kind in kinds:
                yield from walked.nodes.get(kind, ())

    def calls(self, names: Collection[str]) -> Iterator[ast.Call]:
        """The live calls whose function's last name is one of these: `c` of `a.b.c()`."""
        for name in names if len(names) < len(self._calls) else list(self._calls):
            if name in names:
                yield from self._calls.get(name, ())

    @cached_property
    def _calls(self) -> dict[str, list[ast.Call]]:
        found: dict[str, list[ast.Call]] = {}
        for node in self.nodes(ast.Call):
            assert isinstance(node, ast.Call)
            called = node.func
            if isinstance(called, ast.Attribute):
                found.setdefault(called.attr, []).append(node)
            elif isinstance(called, ast.Name):
                found.setdefault(called.id, []).append(node)
                meaning = self.outline.imports.get(called.id)  # from time import time as now
                if meaning is not None and (last := meaning.rpartition(".")[2]) != called.id:
                    found.setdefault(last, []).append(node)
        return found

    def meaning(self, node: ast.expr) -> str:
        """The qualified name that a chain of names stands for (`torch.nn.functional.relu`), empty where none."""
        self._come_by(node)
        return self.inference.meaning(node)

    def layer(self, called: ast.expr) -> str:
        """The qualified name of the class whose instance `self.name` holds, empty where the text does not show one."""
        self._come_by(called)
        return self.inference.layer(called)

    @cached_property
    def _searched(self) -> list[Walked]:
        if self._entries is None:
            return [one for one in self.flow.walked.values() if self.reached.may_be(one.function)]
        found = map(self.flow.of, filter(self.reached.compiled.__contains__, self.outline.all))
        return [one for one in found if one is not None]

    def close(self) -> None:
        """Let go of the tree at once, without waiting for a garbage collection."""
        self.outline.close()

    def value(self, node: ast.expr) -> Value:
        """What an expression stands for."""
        self._come_by(node)
        return self.inference.value(node)

    def _come_by(self, node: ast.expr) -> None:
        """See to it that the flow has seen an expression, also in a function that is not searched."""
        if self._entries is not None and node not in self.flow.parents and not isinstance(node, ast.Constant):
            for function in self.outline.all:
                if function.outer is None and function.node.lineno <= node.lineno <= (function.node.end_lineno or 0):
                    self.flow.of(function)

    def function(self, node: ast.AST) -> Function | None:
        """The function whose live code holds a node."""
        one: ast.AST | None = node
        while one is not None and not (isinstance(one, FUNCTIONS) and one in self.flow.walked):
            one = self.flow.parents.get(one)
        return None if one is None else self.flow.walked[one].function

    def tensor(self, node: ast.expr, optional: bool = False) -> bool | None:
        """Whether an expression is a tensor: True for certain, False perhaps, None no or unknown.

        `optional` takes one that may be None for certain as well, as where a method of it is called.
        """
        value = self.value(node)
        return (value.sure and (optional or not value.optional)) if value.is_tensor else None

    def is_open(self, node: ast.expr) -> bool:
        """Whether the text does not show at all what an expression is."""
        return self.value(node).kind is Kind.UNKNOWN
