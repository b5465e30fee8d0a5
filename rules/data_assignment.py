"""GF508: a tensor given new memory by `.data = …`."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module


class DataAssignment(Rule):
    """What it does:
        Gives a tensor new values by `copy_` under `no_grad` instead of an assignment to `.data`. A name whose tensor
        the function made itself is bound to the new tensor instead.

    Why it breaks the graph:
        Dynamo cannot give a tensor other memory while it traces (GB0056).

    Example:
        state.data = state * decay

        with torch.no_grad():
            state.copy_(state * decay)

    Safety:
        Proven. The values are the same. With `copy_` the tensor keeps its memory, dtype and shape, and whoever else
        holds the old memory sees the new values; a run has to show that nobody is surprised.
    """

    code, name = "GF508", "data-assignment"
    title = "copy values into the tensor, not memory"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0056"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        return next(self.rewrites(site), None)

    def rewrites(self, site: Site) -> Iterator[Rewrite | None]:
        statement = site.enclosing(ast.stmt)
        if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
            return
        target = statement.targets[0]
        if not isinstance(target, ast.Attribute) or target.attr != "data":
            return
        parts = {"tensor": target.value, "new": statement.value}
        if isinstance(target.value, ast.Name) and _is_own(site.module, target.value):
            yield site.replace(statement, "{tensor} = {new}.detach()\n", **parts)
        yield site.replace(statement, "with {torch}.no_grad():\n    {tensor}.copy_({new})\n", **parts)

    cases = (
        Rewrites(
            before="""
                import torch

                class State:
                    def __init__(self, mean):
                        self.mean = mean

                def f(x):
                    x = x.sin()
                    state = State(x + 1)
                    state.mean.data = state.mean * 0.5 + x  # moving average
                    return x + state.mean
            """,
            after="""
                import torch

                class State:
                    def __init__(self, mean):
                        self.mean = mean

                def f(x):
                    x = x.sin()
                    state = State(x + 1)
                    # moving average
                    with torch.no_grad():
                        state.mean.copy_(state.mean * 0.5 + x)
                    return x + state.mean
            """,
            calls=("f(torch.ones(2, 3))", "f(torch.ones(3, 3))"),
        ),
        Rewrites(
            before="""
                import torch as t

                class Clip(t.nn.Module):
                    def forward(self, x, *, most: float = 0.5):
                        y = x.clone()
                        if most is not None:
                            y.data = y.clamp(max=most)
                        return y * 2

                f = Clip()
            """,
            after="""
                import torch as t

                class Clip(t.nn.Module):
                    def forward(self, x, *, most: float = 0.5):
                        y = x.clone()
                        if most is not None:
                            y = y.clamp(max=most).detach()
                        return y * 2

                f = Clip()
            """,
            calls=("f(torch.ones(2, 3))", "f(torch.ones(3, 3), most=2.0)"),
        ),
        Rewrites(
            before="""
                import torch

                def f(x):
                    states = [part * 2 for part in x.unbind()]
                    for i, part in enumerate(x.unbind()):
                        states[i].data = part + (
                            # the bias
                            1
                        )
                    return states[0] * 2
            """,
            after="""
                import torch

                def f(x):
                    states = [part * 2 for part in x.unbind()]
                    for i, part in enumerate(x.unbind()):
                        with torch.no_grad():
                            states[i].copy_(part + (
                                # the bias
                                1
                            ))
                    return states[0] * 2
            """,
            calls=("f(torch.zeros(2, 3))",),
        ),
        Leaves(
            source="""
                import torch

                def f(x):
                    y = x.clone()
                    y.data.add_(1)
                    return y * x.data
            """,
            calls=("f(torch.ones(2))",),
        ),
        Leaves(
            source="""
                import torch

                class Box:
                    pass

                def f(x, box):
                    box.data = x + 1
                    return box.data * 2
            """,
        ),
    )


def _is_own(module: Module, name: ast.Name) -> bool:
    """Whether the function makes the tensor of a name itself: by a call, where it is no parameter."""
    function = module.function_of(name)
    if function is None or any(arg.arg == name.id for arg in ast.walk(function.args) if isinstance(arg, ast.arg)):
        return False
    values = [
        node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == name.id for target in node.targets)
    ]
    return bool(values) and all(isinstance(value, ast.Call | ast.BinOp) for value in values)
