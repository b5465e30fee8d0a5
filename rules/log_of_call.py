"""GF309: a log call whose arguments call code that may do more."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._effects import EFFECT_BREAKS, eager_only, statement_of
from ._match import is_log_statement, is_output


class LogOfCall(Rule):
    """What it does:
        Lets a statement that prints, logs or warns run in eager code alone where its arguments call functions of the
        program, of which the text does not show that they do nothing else.

    Why it breaks the graph:
        Dynamo cannot put output into a graph (GB0059, GB0291, GB0007), or what is called for it breaks.

    Example:
        print("state", self.describe(x))

        if not torch.compiler.is_compiling():
            print("state", self.describe(x))

    Safety:
        Proven: a run must show that results, module state and random numbers are the same without the calls. Eager code
        still makes them; compiled code is silent.
    """

    code, name = "GF309", "log-of-call"
    title = "keep a log call and what it calls out of the graph"
    safety = Safety.PROVEN
    repairs = EFFECT_BREAKS

    def rewrite(self, site: Site) -> Rewrite | None:
        place: Site | None = site
        while place is not None:  # the break may stand in what the log call calls
            if (statement := _log_statement(place)) is not None:
                return place.replace(statement, "if not {torch}.compiler.is_compiling():\n    {log}\n", log=statement)
            place = place.around
        return None

    cases = (
        Rewrites(
            before="""
                import torch

                class Layer(torch.nn.Module):
                    def describe(self, x):
                        return f"{x.mean():.3f}"

                    def forward(self, x):
                        x = x.sin()
                        print("state", self.describe(x), sep=": ")  # once a step
                        return x + 1

                f = Layer()
            """,
            after="""
                import torch

                class Layer(torch.nn.Module):
                    def describe(self, x):
                        return f"{x.mean():.3f}"

                    def forward(self, x):
                        x = x.sin()
                        if not torch.compiler.is_compiling():
                            print("state", self.describe(x), sep=": ")  # once a step
                        return x + 1

                f = Layer()
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(4))"),
        ),
        Rewrites(
            before="""
                import logging
                from torch import cos

                LOG = logging.getLogger(__name__)

                def summary(values, digits=2):
                    return [round(v, digits) for v in values.tolist()]

                def f(x, *, rounds: int = 1):
                    for number in range(rounds):
                        x = cos(x)
                        LOG.debug(
                            "round %d: %s",
                            number,
                            summary(x, digits=1),
                        )
                    return x
            """,
            after="""
                import logging
                import torch
                from torch import cos

                LOG = logging.getLogger(__name__)

                def summary(values, digits=2):
                    return [round(v, digits) for v in values.tolist()]

                def f(x, *, rounds: int = 1):
                    for number in range(rounds):
                        x = cos(x)
                        if not torch.compiler.is_compiling():
                            LOG.debug(
                                "round %d: %s",
                                number,
                                summary(x, digits=1),
                            )
                    return x
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(4), rounds=2)"),
        ),
        Rewrites(
            before="""
                import warnings
                import torch

                def hint(size):
                    return "odd size " + str(size)

                def f(x):
                    y = torch.tanh(x)
                    if x.numel() % 2: warnings.warn(hint(x.numel()), category=RuntimeWarning)
                    return y * 2
            """,
            after="""
                import warnings
                import torch

                def hint(size):
                    return "odd size " + str(size)

                def f(x):
                    y = torch.tanh(x)
                    if x.numel() % 2:
                        if not torch.compiler.is_compiling():
                            warnings.warn(hint(x.numel()), category=RuntimeWarning)
                    return y * 2
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(4))"),
        ),
        Leaves(
            source="""
                def f(x):
                    y = x.sin()
                    print(total := y.sum())
                    return y / total
            """,
            calls=("f(torch.ones(3))",),
        ),
        Leaves(
            source="""
                def f(x):
                    y = x.sin()
                    print("mean", y.mean())
                    return y
            """,
            calls=("f(torch.ones(3))",),
        ),
    )


def _log_statement(site: Site) -> ast.stmt | None:
    """The log call around a place, where its arguments may do more than look and bind nothing."""
    statement = statement_of(site)
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
        return None
    if not is_output(statement.value, site.module) or is_log_statement(statement, site.module):
        return None
    if eager_only(site.module, statement) or any(isinstance(node, _BINDS) for node in ast.walk(statement)):
        return None
    return statement


_BINDS = (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)
