"""GF404: a masked store under a condition of its own."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._match import (
    any_true,
    dotted,
    is_boolean,
    is_guarded_log,
    is_log_statement,
    is_pure,
    is_text,
    same,
    without_conversion,
)


class StoreInBranch(Rule):
    """What it does:
        Puts the condition of a branch into the mask of the store that the branch holds.

    Why it breaks the graph:
        The branch depends on values in a tensor (GB0170). A store of a number through a mask does not.

    Example:
        if lengths.sum() == 0:
            lengths[lengths < 1] = 1

        lengths[(lengths < 1) & (lengths.sum() == 0)] = 1

    Safety:
        Proven. Under a false condition the mask is all false, and the store stores nothing.
    """

    code, name = "GF404", "store-in-branch"
    title = "put the condition into the mask of the store"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0170", "GB0124"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        branch = site.enclosing(ast.If)
        if branch is None or branch.orelse or site.node not in (branch, *ast.walk(branch.test)):
            return None
        test = without_conversion(branch.test)
        asked = any_true(branch.test)
        logs = [node for node in branch.body if is_log_statement(node) or is_guarded_log(node)]
        stores = [node for node in branch.body if node not in logs and not is_text(node)]
        if len(stores) != 1 or not isinstance(stores[0], ast.Assign) or len(stores[0].targets) != 1:
            return None
        target, value = stores[0].targets[0], stores[0].value
        if not isinstance(target, ast.Subscript) or not is_pure(test) or not is_boolean(site.module, test):
            return None
        mask = target.slice
        if not is_boolean(site.module, mask) or not is_pure(mask) or (asked is not None and same(asked, mask)):
            return None
        inner = value.operand if isinstance(value, ast.UnaryOp) else value
        if not isinstance(inner, ast.Constant) and dotted(value) not in {"torch.inf", "torch.nan", "math.inf"}:
            return None
        told = "if not {torch}.compiler.is_compiling() and {test}:\n    {logs}\n" if logs and not site.dual else ""
        template = told + "{of}[{mask} & {told}] = {value}\n"
        parts: dict[str, ast.AST | Sequence[ast.stmt]] = {"test": branch.test, "logs": logs} if told else {}
        return site.replace(branch, template, of=target.value, mask=mask, told=test, value=value, **parts)

    cases = (
        Rewrites(
            before="""
                import torch

                def f(durations):
                    durations = durations.clone()
                    if durations.sum() == 0:
                        durations[durations.sum(dim=1).eq(0)] = 1
                    return durations * 2
            """,
            after="""
                import torch

                def f(durations):
                    durations = durations.clone()
                    durations[durations.sum(dim=1).eq(0) & (durations.sum() == 0)] = 1
                    return durations * 2
            """,
            calls=("f(torch.zeros(2, 3))", "f(torch.tensor([[0, 0], [1, 2]]))"),
        ),
        Rewrites(
            before="""
                import torch

                class Clip(torch.nn.Module):
                    def forward(self, x, limit):
                        y = x + 1
                        if (y.mean() > limit).item():
                            # too loud
                            y[y > 2 * limit] = -1.0
                        return y

                f = Clip()
            """,
            after="""
                import torch

                class Clip(torch.nn.Module):
                    def forward(self, x, limit):
                        y = x + 1
                        # too loud
                        y[(y > 2 * limit) & (y.mean() > limit)] = -1.0
                        return y

                f = Clip()
            """,
            calls=("f(torch.arange(6.0), torch.tensor(1.0))", "f(torch.zeros(3), torch.tensor(5.0))"),
        ),
        Rewrites(
            before="""
                import logging
                import torch

                def f(scores):
                    scores = scores * 1
                    if torch.isnan(scores.sum()):
                        logging.warning("not a number")
                        scores[torch.isnan(scores)] = 0
                    return scores
            """,
            after="""
                import logging
                import torch

                def f(scores):
                    scores = scores * 1
                    if not torch.compiler.is_compiling() and torch.isnan(scores.sum()):
                        logging.warning("not a number")
                    scores[torch.isnan(scores) & torch.isnan(scores.sum())] = 0
                    return scores
            """,
            calls=("f(torch.tensor([1.0, float('nan')]))", "f(torch.ones(3))"),
        ),
        Leaves(
            source="""
                def f(x):
                    x = x.clone()
                    if x.sum() > 3:
                        x[x > 1] = 0.0
                        x[x < 0] = 1.0
                    return x
            """,
            calls=("f(torch.arange(4.0))",),
        ),
        Leaves(
            source="""
                def f(x, rows):
                    x = x.clone()
                    if x.sum() > 3:
                        x[rows] = 0.0
                    return x
            """,
            calls=("f(torch.arange(4.0), torch.tensor([0, 1]))",),
        ),
    )
