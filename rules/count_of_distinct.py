"""GF422: `len(torch.unique(x))`."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._condition import Build
from ._match import dotted, is_pure
from ._numbers import statement_of
from ._reads import parent
from ._selection import count_of


class CountOfDistinct(Rule):
    """What it does:
        Counts the steps between sorted values, where code asked how many distinct ones there are.

    Why it breaks the graph:
        `unique` returns as many values as there are (GB0036). Sorting keeps the shape.

    Example:
        used = len(torch.unique(codes))

        ordered = codes.flatten().sort().values
        used = (ordered[1:] != ordered[:-1]).sum() + min(ordered.numel(), 1)

    Safety:
        Proven. The same number, as a tensor without dimensions: a run must show that what takes it can.
    """

    code, name = "GF422", "count-of-distinct"
    title = "count the steps between sorted values"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0036"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        module, call = site.module, site.node
        values = _values(call)
        if values is None or not isinstance(call, ast.expr) or not is_pure(values):
            return None
        statement, build = statement_of(module, call), Build(module, call)
        if statement is None:
            return None
        ordered = build.fresh("ordered")
        count = f"({ordered}[1:] != {ordered}[:-1]).sum() + min({ordered}.numel(), 1)"
        changes: list[tuple[ast.expr, str, dict[str, ast.AST]]]
        if (whole := count_of(module, call)) is not None:
            changes = [(whole, f"({count})" if isinstance(parent(module, whole), ast.expr) else count, {})]
        else:
            assigned = parent(module, call)
            target = assigned.targets[0] if isinstance(assigned, ast.Assign) and len(assigned.targets) == 1 else None
            counts = _counts(module, target) if isinstance(target, ast.Name) else []
            if not counts or not isinstance(target, ast.Name):
                return None
            changes = [(call, count, {}), *((one, target.id, {}) for one in counts)]
        above = site.before(statement, f"{ordered} = {{values}}.flatten().sort().values", values=values)
        return site.together(above, site.replace_each(changes))

    cases = (
        Rewrites(
            before="""
                import torch

                def f(scores, codes):
                    # the share of codes that were taken
                    used = len(torch.unique(codes))
                    return scores * used / 4 + codes.unique().numel()
            """,
            after="""
                import torch

                def f(scores, codes):
                    # the share of codes that were taken
                    ordered_2 = codes.flatten().sort().values
                    used = (ordered_2[1:] != ordered_2[:-1]).sum() + min(ordered_2.numel(), 1)
                    ordered = codes.flatten().sort().values
                    return scores * used / 4 + ((ordered[1:] != ordered[:-1]).sum() + min(ordered.numel(), 1))
            """,
            calls=("f(torch.ones(3), torch.tensor([[1, 3], [3, 3]]))", "f(torch.ones(2), torch.tensor([0, 2, 2]))"),
        ),
        Rewrites(
            before="""
                import torch

                def f(x):
                    kinds = torch.unique(x, sorted=False)
                    return x / kinds.shape[0]
            """,
            after="""
                import torch

                def f(x):
                    ordered = x.flatten().sort().values
                    kinds = (ordered[1:] != ordered[:-1]).sum() + min(ordered.numel(), 1)
                    return x / kinds
            """,
            calls=("f(torch.tensor([1.0, 3.0, 1.0]))", "f(torch.tensor([[torch.inf, 0.0], [torch.inf, torch.nan]]))"),
        ),
        Leaves(
            source="""
                import torch

                def f(x):
                    kinds = torch.unique(x)
                    return x / len(kinds) + kinds[0]
            """,
            calls=("f(torch.tensor([1.0, 3.0, 1.0]))",),
        ),
        Leaves(
            source="""
                import torch

                def f(x):
                    return x / len(torch.unique(x, dim=0))
            """,
            calls=("f(torch.ones(3, 2))",),
        ),
    )


def _values(node: ast.AST) -> ast.expr | None:
    """The tensor whose distinct values a call returns, and nothing else."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != "unique":
        return None
    parts = node.args if dotted(node.func.value) == "torch" else [node.func.value, *node.args]
    return parts[0] if len(parts) == 1 and all(one.arg == "sorted" for one in node.keywords) else None


def _counts(module: Module, name: ast.Name) -> list[ast.expr]:
    """What counts the elements that a name stands for, empty where it is read otherwise, or bound twice."""
    function = module.function_of(name)
    names = [part for part in ast.walk(function or name) if isinstance(part, ast.Name) and part.id == name.id]
    counts = [count_of(module, one) for one in names if one is not name]
    return [one for one in counts if one is not None] if None not in counts else []
