"""GF700: `self.steps += 1` in `forward`."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphfix.rule import Finds, Leaves, Rule, Safety, Site
from graphfix.source.module import FUNCTIONS, Module

from ._match import dotted


class CounterInForward(Rule):
    """What it does:
        Finds counters: whole numbers on a module that its `forward` changes in every call. It repairs nothing.

    Why it breaks the graph:
        It does not, but Dynamo compiles for each value of a module's number anew (seen on torch 2.13: `self.steps == 7`
        fails in the next call), until the recompile limit leaves the rest to eager.

    Example:
        self.steps = 0
        ...
        self.steps += 1

        self.register_buffer("steps", torch.zeros((), dtype=torch.int64), persistent=False)
        ...
        self.steps += 1

    Safety:
        Nothing is changed. A person can count in a buffer, outside of the compiled region, or allow it with
        `torch._dynamo.config.allow_unspec_int_on_nn_module`.
    """

    code, name = "GF700", "counter-in-forward"
    title = "counts in a Python number of a module, so that every call is compiled anew"
    safety = Safety.UNSAFE
    marks = ("+= ", "-= ")

    def find(self, module: Module) -> Iterator[Site]:
        for node in module.analysis.nodes(ast.AugAssign):
            assert isinstance(node, ast.AugAssign)
            function = module.function_of(node)
            counts = isinstance(node.value, ast.Constant) and isinstance(node.target, ast.Attribute)
            if not counts or function is None or function.name != "forward" or node not in function.body:
                continue
            owner = next(module.parents(function), None)
            if isinstance(owner, ast.ClassDef) and _is_module(owner) and dotted(node.target) in _numbers(owner):
                yield Site(module, node)

    cases = (
        Finds(
            source="""
                import torch

                class Steps(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.steps = 0

                    def forward(self, x: torch.Tensor):
                        self.steps += 1
                        return x * 2

                f = Steps()
            """,
            lines=(9,),
        ),
        Leaves(
            source="""
                import torch

                class Steps(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
                        self.calls = 0

                    def forward(self, x: torch.Tensor):
                        self.steps += 1
                        if not torch.compiler.is_compiling():
                            self.calls += 1
                        return x * self.steps

                f = Steps()
            """,
            calls=("f(torch.ones(3))",),
        ),
    )


def _is_module(owner: ast.ClassDef) -> bool:
    return any(dotted(base).rpartition(".")[2] == "Module" for base in owner.bases)


def _numbers(owner: ast.ClassDef) -> set[str]:
    """The attributes that `__init__` gives whole numbers."""
    init = [one for one in owner.body if isinstance(one, FUNCTIONS) and one.name == "__init__"]
    assigned = [one for method in init for one in ast.walk(method) if isinstance(one, ast.Assign)]
    return {
        dotted(target)
        for one in assigned
        for target in one.targets
        if isinstance(one.value, ast.Constant) and type(one.value.value) is int
    }
