"""GF517: a class made in every call."""

from __future__ import annotations

import ast
import re

from graphfix.model import Edit
from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import FUNCTIONS, Module
from graphfix.source.text import lines

from ._hoist import defined_above, following, free_of


class LocalClass(Rule):
    """What it does:
        Moves a class that a function makes to the module, where it reads none of the function's own names.

    Why it breaks the graph:
        Dynamo does not make classes (GB8977).

    Example:
        def forward(self, x):
            class Pair:
                ...

        class Pair:
            ...

        def forward(self, x):

    Safety:
        Proven. Every call had a class of its own, and now shares one: what is kept on the class, or asked of its name,
        may tell.
    """

    code, name = "GF517", "local-class"
    title = "make the class once, in the module"
    safety = Safety.PROVEN
    repairs = frozenset({"GB8977"})

    def rewrite(self, site: Site) -> Rewrite | None:
        module, made = site.module, site.enclosing(ast.ClassDef)
        function = next((one for one in module.parents(site.node) if isinstance(one, FUNCTIONS)), None)
        if made is None:  # Dynamo may name the line alone
            return None
        if function is None or not any(one is function for one in module.parents(made)) or not free_of(module, made):
            return None
        outside = [line for number, line in enumerate(module.lines, 1) if not _inside(number, function)]
        if not following(module, made) or any(re.search(rf"\b{made.name}\b", line) for line in outside):
            return None
        above = defined_above(site, made, f"class {made.name}", "{made}\n", made=made)
        return site.together(above, _without(module, made))

    cases = (
        Rewrites(
            before="""
                import torch


                def f(x):
                    y = x.sin()

                    class Pair:
                        # two of them
                        def __init__(self, one, other):
                            self.one, self.other = one, other

                    pair = Pair(y, y + 1)
                    return pair.one * pair.other
            """,
            after="""
                import torch


                class Pair:
                    # two of them
                    def __init__(self, one, other):
                        self.one, self.other = one, other


                def f(x):
                    y = x.sin()

                    pair = Pair(y, y + 1)
                    return pair.one * pair.other
            """,
            calls=("f(torch.ones(2))", "f(torch.ones(3))"),
        ),
        Rewrites(
            before="""
                from dataclasses import dataclass

                import torch


                class Head(torch.nn.Module):
                    def forward(self, x, *, many: bool = False):
                        @dataclass
                        class Output:
                            logits: torch.Tensor
                            loss: float = 0.5

                        out = Output(x.cos())
                        return out.logits * out.loss


                f = Head()
            """,
            after="""
                from dataclasses import dataclass

                import torch


                @dataclass
                class Output:
                    logits: torch.Tensor
                    loss: float = 0.5


                class Head(torch.nn.Module):
                    def forward(self, x, *, many: bool = False):
                        out = Output(x.cos())
                        return out.logits * out.loss


                f = Head()
            """,
            calls=("f(torch.ones(2))", "f(torch.ones(3), many=True)"),
        ),
        Rewrites(
            before="""
                import torch

                STEPS = 3


                def f(x):
                    if x.dim() > 1:
                        class Steps:
                            count = STEPS

                            @classmethod
                            def times(cls, x):
                                return x * cls.count
                        x = Steps.times(x)
                    return x.relu()
            """,
            after="""
                import torch

                STEPS = 3


                class Steps:
                    count = STEPS

                    @classmethod
                    def times(cls, x):
                        return x * cls.count


                def f(x):
                    if x.dim() > 1:
                        x = Steps.times(x)
                    return x.relu()
            """,
            calls=("f(torch.ones(2, 2))", "f(torch.ones(3, 2))"),
        ),
        Leaves(
            source="""
                import torch


                class Pair:
                    pass


                def f(x):
                    class Pair:
                        one = 1

                    return x * Pair.one
            """,
            calls=("f(torch.ones(2))",),
        ),
        Leaves(
            source="""
                import torch


                def f(x, scale: int):
                    class Scale:
                        by = scale

                    return x * Scale.by
            """,
            calls=("f(torch.ones(2), 2)",),
        ),
    )


def _without(module: Module, statement: ast.ClassDef) -> Rewrite:
    """The lines of a statement taken out, and the empty ones below them."""
    first = min([statement.lineno, *(one.lineno for one in statement.decorator_list)])
    last = statement.end_lineno or statement.lineno
    while last < len(module.lines) and not module.line(last + 1).strip():
        last += 1
    text = lines(module.text)
    start, end = (sum(map(len, text[:number])) for number in (first - 1, last))
    return Rewrite((Edit(module.path, start, end, ""),))


def _inside(number: int, function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return function.lineno <= number <= (function.end_lineno or number)
