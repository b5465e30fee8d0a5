"""GF504: a random number that only training needs."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._match import only_value

_GENERATORS = ("numpy.random.", "random.")


class TrainingDraw(Rule):
    """What it does:
        Draws a random number of NumPy or Python that only training looks at in training alone, where code is
        compiled. That nothing else looks at it is read from the function: every use stands behind `self.training`.

    Why it breaks the graph:
        Dynamo takes a number of NumPy for a tensor, whose value a condition or Python code cannot have (GB0033,
        GB0170), and does not trace Python's generator (GB0007).

    Example:
        draw = np.random.uniform(0, 1)
        skip = self.training and draw < self.layerdrop

        draw = np.random.uniform(0, 1) if self.training or not torch.compiler.is_compiling() else 0.0

    Safety:
        Unsafe. Results are the same, and eager code draws as before. Compiled code draws nothing in evaluation, so
        that the next number of that generator, wherever it is drawn, is another one than after eager code.
    """

    code, name = "GF504", "training-draw"
    title = "draw in training alone what only training needs"
    safety = Safety.UNSAFE
    draws_less = True
    repairs = frozenset({"GB0007", "GB0033", "GB0170", "GB0124", "GB0059", "GB0109"})

    def rewrite(self, site: Site) -> Rewrite | None:
        for draw in _draws(site):
            if (training := _training_of(site.module, draw)) is not None:
                template = "{draw} if {training} or not {torch}.compiler.is_compiling() else 0.0"
                return site.replace(draw, template, draw=draw, training=training)
        return None

    cases = (
        Rewrites(
            before="""
                import numpy as np
                import torch
                from torch import nn

                class Encoder(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
                        self.layerdrop = 0.1

                    def forward(self, x):
                        for layer in self.layers:
                            # LayerDrop
                            draw = np.random.rand()

                            skip = self.training and (draw < self.layerdrop)
                            if not skip:
                                x = layer(x)
                        return x

                f = Encoder().eval()
            """,
            after="""
                import numpy as np
                import torch
                from torch import nn

                class Encoder(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
                        self.layerdrop = 0.1

                    def forward(self, x):
                        for layer in self.layers:
                            # LayerDrop
                            draw = np.random.rand() if self.training or not torch.compiler.is_compiling() else 0.0

                            skip = self.training and (draw < self.layerdrop)
                            if not skip:
                                x = layer(x)
                        return x

                f = Encoder().eval()
            """,
            calls=("f(torch.ones(2, 4))", "f(torch.ones(3, 4))"),
        ),
        Rewrites(
            before="""
                from random import random
                import torch as t

                class Noisy(t.nn.Module):
                    def forward(self, x, p: float = 0.5):
                        if random() < p and self.training:
                            x = x + 1
                        return x.sin()

                f = Noisy().eval()
            """,
            after="""
                from random import random
                import torch as t

                class Noisy(t.nn.Module):
                    def forward(self, x, p: float = 0.5):
                        if (random() if self.training or not t.compiler.is_compiling() else 0.0) < p and self.training:
                            x = x + 1
                        return x.sin()

                f = Noisy().eval()
            """,
            calls=("f(torch.ones(2, 4))", "f(torch.ones(3, 4), p=0.1)"),
        ),
        Rewrites(
            before="""
                from numpy.random import randint
                import torch

                def f(x, training=False):
                    shift = randint(3)
                    y = x.cos()
                    if training:
                        y = y.roll(int(shift), 0)
                    return y + (float(shift) if training else 1.0)
            """,
            after="""
                from numpy.random import randint
                import torch

                def f(x, training=False):
                    shift = randint(3) if training or not torch.compiler.is_compiling() else 0.0
                    y = x.cos()
                    if training:
                        y = y.roll(int(shift), 0)
                    return y + (float(shift) if training else 1.0)
            """,
            calls=("f(torch.ones(2, 4))", "f(torch.ones(3, 4))"),
        ),
        Leaves(
            source="""
                import numpy as np
                import torch

                class Noisy(torch.nn.Module):
                    def forward(self, x):
                        draw = np.random.uniform(0, 1)
                        if self.training and draw < 0.5:
                            return x
                        return x * float(draw)

                f = Noisy().eval()
            """,
            calls=("f(torch.ones(2, 4))",),
        ),
        Leaves(
            source="""
                import numpy as np
                import torch

                class Noisy(torch.nn.Module):
                    def forward(self, x):
                        if np.random.rand() < 0.5 or self.training:
                            return x.sin()
                        return x.cos()

                f = Noisy().eval()
            """,
            calls=("f(torch.ones(2, 4))",),
        ),
    )


def _draws(site: Site) -> Iterator[ast.Call]:
    """The draws that a break at the site may be about: in its statement, or behind a name there."""
    module = site.module
    statement = site.enclosing(ast.stmt) or site.node
    head = statement.test if isinstance(statement, ast.If | ast.While) else statement
    for node in ast.walk(head):
        value = only_value(module, node) if isinstance(node, ast.Name) else node
        for one in ast.walk(value) if value is not None else ():
            if isinstance(one, ast.Call) and module.analysis.meaning(one.func).startswith(_GENERATORS):
                yield one


def _training_of(module: Module, draw: ast.expr) -> ast.expr | None:
    """The flag that every use of a draw stands behind, None where one does not, or uses differ."""
    statement = next(one for one in module.parents(draw) if isinstance(one, ast.stmt))
    uses: list[ast.expr] = [draw]
    if isinstance(statement, ast.Assign) and statement.value is draw:
        name, function = statement.targets[0], module.function_of(draw)
        if len(statement.targets) > 1 or not isinstance(name, ast.Name) or function is None:
            return None
        named = (node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == name.id)
        uses = [node for node in named if isinstance(node.ctx, ast.Load)]
        if only_value(module, ast.copy_location(name, name)) is not draw:
            return None
    flags = [_flag_around(module, use) for use in uses]
    if not flags or any(flag is None or ast.dump(flag) != ast.dump(flags[0] or flag) for flag in flags):
        return None
    return flags[0]


def _flag_around(module: Module, use: ast.AST) -> ast.expr | None:
    """The training flag that has to be true for a use to matter."""
    child = use
    for parent in module.parents(use):
        if isinstance(parent, ast.BoolOp) and isinstance(parent.op, ast.And):
            found = next((one for one in parent.values if one is not child and _is_flag(one)), None)
            if found is not None:
                return found
        inside = isinstance(parent, ast.If) and any(child is one for one in parent.body)
        if isinstance(parent, ast.If | ast.IfExp) and (inside or child is parent.body):
            tests = parent.test.values if isinstance(parent.test, ast.BoolOp) else [parent.test]
            joined = not isinstance(parent.test, ast.BoolOp) or isinstance(parent.test.op, ast.And)
            found = next((one for one in tests if joined and _is_flag(one)), None)
            if found is not None:
                return found
        if isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return None
        child = parent
    return None


def _is_flag(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name in ("training", "is_training", "train")
