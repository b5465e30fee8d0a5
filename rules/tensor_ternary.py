"""GF208: `a if tensor else b`."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._condition import Build, branch_of, decide
from ._items import Unknown
from ._returns import Tree, chosen, tree_of, written


class TensorTernary(Rule):
    """What it does:
        Turns `a if t else b`, nested ones too, into `torch.where(t, a, b)`.

    Why it breaks the graph:
        Which value to compute is known at run time only, so Dynamo ends the graph and lets Python decide (GB0170, or
        GB0124 where the condition reads a number with `.item()`).

    Example:
        y = x / total if total > 0 else x

        y = torch.where(total > 0, x / total, x)

    Safety:
        Proven. Both values must be tensors (or numbers) of one shape and dtype, and computing the one that is not
        chosen must not raise; a run shows it. Compiled code computes both.
    """

    code, name = "GF208", "tensor-ternary"
    title = "choose between two values with torch.where"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0170", "GB0124", "GB0033"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        choice = branch_of(site, ast.IfExp)
        if not isinstance(choice, ast.IfExp):
            return None
        build = Build(site.module, site.node)
        try:
            return build.put_value(site, choice, _text(build, choice), choice.test)
        except Unknown:
            return None

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x):
                    total = x.sum()
                    # never divide by nothing
                    y = x / total if total > 0 else x  # safe
                    return y + 1
            """,
            after="""
                import torch

                def f(x):
                    total = x.sum()
                    # never divide by nothing
                    y = torch.where(total > 0, x / total, x)  # safe
                    return y + 1
            """,
            calls=("f(torch.ones(3))", "f(-torch.ones(4))"),
        ),
        Rewrites(
            before="""
                import torch.nn.functional as F
                from torch import nn, Tensor

                class Net(nn.Module):
                    def forward(self, x: Tensor, *, lift: bool = False) -> Tensor:
                        return F.relu(
                            x * 2
                            if lift and x.mean().item() > 0.1
                            else x - 1,
                        ).sum()

                f = Net()
            """,
            after="""
                import torch
                import torch.nn.functional as F
                from torch import nn, Tensor

                class Net(nn.Module):
                    def forward(self, x: Tensor, *, lift: bool = False) -> Tensor:
                        return F.relu(
                            torch.where(x.mean().double() > 0.1, x * 2, x - 1) if lift else x - 1,
                        ).sum()

                f = Net()
            """,
            calls=("f(torch.ones(3), lift=True)", "f(torch.ones(3))", "f(-torch.ones(4), lift=True)"),
        ),
        Rewrites(
            before="""
                import torch

                def pick(x, low, high):
                    return high if x.max() > 1 else low if not (x < 0).any() else -low

                def f(x):
                    pick_one = lambda v: pick(v, v * 2, v * 3)
                    return pick_one(x) + 1
            """,
            after="""
                import torch

                def pick(x, low, high):
                    return torch.where(x.max() > 1, high, torch.where(~(x < 0).any(), low, -low))

                def f(x):
                    pick_one = lambda v: pick(v, v * 2, v * 3)
                    return pick_one(x) + 1
            """,
            calls=("f(torch.ones(3) * 2)", "f(torch.ones(3))", "f(-torch.ones(4))"),
        ),
        Rewrites(
            before="""
                import torch

                def f(rows: list[torch.Tensor]):
                    one, two, three = rows
                    bad = torch.isnan(three).sum()
                    scale, shift = (two, one) if bad else (one, two)
                    return torch.stack([row if row.sum() >= 0 else -row for row in rows]) * scale + shift
            """,
            after="""
                import torch

                def f(rows: list[torch.Tensor]):
                    one, two, three = rows
                    bad = torch.isnan(three).sum()
                    scale, shift = (torch.where(bad != 0, two, one), torch.where(bad != 0, one, two))
                    return torch.stack([torch.where(row.sum() >= 0, row, -row) for row in rows]) * scale + shift
            """,
            calls=(
                "f([torch.ones(3), torch.ones(3) * 2, -torch.ones(3)])",
                "f([torch.ones(3), torch.ones(3) * 2, torch.ones(3) * torch.nan])",
            ),
        ),
        Leaves(
            source="""
                def f(x):
                    kind = "sum" if x.sum() > 0 else "mean"
                    return getattr(x, kind)()
            """,
            calls=("f(torch.ones(3))",),
        ),
        Leaves(
            source="""
                def f(x, mask=None):
                    y = x if mask is None or mask.sum() == 0 else x * mask
                    return y
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(3), torch.ones(3))"),
        ),
    )


def _text(build: Build, choice: ast.IfExp) -> str:
    """The expression instead. Raises Unknown."""
    decision = decide(build, choice.test)
    if decision is None:
        raise Unknown
    otherwise = _tree(build, choice.orelse)
    tree = chosen(build, decision.tensor, _tree(build, choice.body), otherwise)
    if not decision.plain:
        return written(tree, outermost=False)
    return f"{written(tree, False)} if {decision.python(build)} else {written(otherwise, False)}"


def _tree(build: Build, value: ast.expr) -> Tree:
    """A value, in which a further choice by a tensor is made as well."""
    if isinstance(value, ast.IfExp):
        decision = decide(build, value.test)
        if decision is not None and not decision.plain:
            return chosen(build, decision.tensor, _tree(build, value.body), _tree(build, value.orelse))
    return tree_of(build, value)
