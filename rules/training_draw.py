"""GF504: a random number that only training needs."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._match import only_value

_GENERATORS = ("numpy.random.", "random.")


class TrainingDraw(Rule):
    """What it does:
        Draws a random number of NumPy or Python that only training looks at in training alone, where code is
        compiled. That nothing else looks at it is read from the function: every use, and every use of a name that is
        computed of it, stands behind `self.training`.

    Why it breaks the graph:
        Dynamo takes a number of NumPy for a tensor, whose value a condition or Python code cannot have (GB0033,
        GB0170), does not know some draws of NumPy (GB0294), and does not trace Python's generator (GB0007).

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
    repairs = frozenset({"GB0007", "GB0033", "GB0170", "GB0124", "GB0059", "GB0109", "GB0294"})

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
        Rewrites(
            before="""
                import torch
                from numpy import random as nr

                class Shaken(torch.nn.Module):
                    s = 0.3

                    def forward(self, points):
                        a = self.s * nr.binomial(9, 1)
                        turned = a + 1.0
                        return points.sin() if not self.training else points * turned

                f = Shaken().eval()
            """,
            after="""
                import torch
                from numpy import random as nr

                class Shaken(torch.nn.Module):
                    s = 0.3

                    def forward(self, points):
                        a = self.s * (nr.binomial(9, 1) if self.training or not torch.compiler.is_compiling() else 0.0)
                        turned = a + 1.0
                        return points.sin() if not self.training else points * turned

                f = Shaken().eval()
            """,
            calls=("f(torch.ones(2, 4))", "f(torch.ones(3, 4))"),
        ),
        Rewrites(
            before="""
                import random
                import torch

                def f(tokens, is_training: bool = False, rate=0.2):
                    masked = random.random() < rate
                    if not is_training or not masked:
                        return tokens + 1
                    return tokens.zero_()
            """,
            after="""
                import random
                import torch

                def f(tokens, is_training: bool = False, rate=0.2):
                    masked = (random.random() if is_training or not torch.compiler.is_compiling() else 0.0) < rate
                    if not is_training or not masked:
                        return tokens + 1
                    return tokens.zero_()
            """,
            calls=("f(torch.ones(2, 4))", "f(torch.ones(3, 4), rate=0.9)"),
        ),
        Leaves(
            source="""
                import random
                import torch

                def f(tokens, training: bool = False):
                    masked = random.random() < 0.5
                    kept = not masked
                    if training and masked:
                        return tokens.cos()
                    return tokens * kept
            """,
            calls=("f(torch.ones(2, 4))",),
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


def _training_of(module: Module, value: ast.expr, depth: int = 3) -> ast.expr | None:
    """The flag that every use of a value stands behind, None where one does not, or uses differ.

    A name that a value goes into is followed, whatever is computed of it on the way.
    """
    if (flag := _flag_around(module, value)) is not None or not depth:
        return flag
    statement = next(one for one in module.parents(value) if isinstance(one, ast.stmt))
    function = module.function_of(value)
    if not isinstance(statement, ast.Assign) or function is None:
        return None
    name = statement.targets[0]
    if not isinstance(name, ast.Name) or only_value(module, name) is not statement.value:
        return None
    named = (node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == name.id)
    flags = [_training_of(module, use, depth - 1) for use in named if isinstance(use.ctx, ast.Load)]
    if not flags or any(flag is None or ast.dump(flag) != ast.dump(flags[0] or flag) for flag in flags):
        return None
    return flags[0]


def _flag_around(module: Module, use: ast.AST) -> ast.expr | None:
    """The training flag that has to be true for a use to matter."""
    child = use
    for parent in module.parents(use):
        if isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return None
        if (flag := _flag_of(parent, child)) is not None:
            return flag
        child = parent
    return None


def _flag_of(parent: ast.AST, child: ast.AST) -> ast.expr | None:
    """The training flag without which `parent` does not look at its part `child`."""
    if isinstance(parent, ast.BoolOp):
        others = [one for one in parent.values if one is not child]
        return _flag_among(others, holds=isinstance(parent.op, ast.And))
    if not isinstance(parent, ast.If | ast.IfExp) or child is parent.test:
        return None
    body = parent.body if isinstance(parent.body, list) else [parent.body]
    holds = any(child is one for one in body)
    op = ast.And if holds else ast.Or
    joined = isinstance(parent.test, ast.BoolOp) and isinstance(parent.test.op, op)
    return _flag_among(parent.test.values if joined else [parent.test], holds)  # type: ignore[attr-defined]


def _flag_among(tests: Sequence[ast.expr], holds: bool) -> ast.expr | None:
    """The first flag among tests; where they do not hold, the first that is negated."""
    for one in tests:
        negated = isinstance(one, ast.UnaryOp) and isinstance(one.op, ast.Not)
        flag = one.operand if isinstance(one, ast.UnaryOp) and negated else one
        if negated is not holds and _is_flag(flag):
            return flag
    return None


def _is_flag(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name in ("training", "is_training", "train")
