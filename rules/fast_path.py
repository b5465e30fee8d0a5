"""GF217: `if mask.all(): mask = None`."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._condition import branch_of


class FastPath(Rule):
    """What it does:
        Leaves a shortcut to eager code: where a tensor's values show that a mask hides nothing, it is dropped there,
        and compiled code keeps it.

    Why it breaks the graph:
        Whether the mask can be dropped is known at run time only, so Dynamo ends the graph and lets Python decide
        (GB0170, or GB0124 where the condition reads a number with `.item()`). No tensor stands for None.

    Example:
        if mask is not None and mask.all():
            mask = None

        if not torch.compiler.is_compiling() and mask is not None and mask.all():
            mask = None

    Safety:
        Proven. Eager is unchanged. Compiled code goes the general way also where the shortcut would do, which has to
        come to the same: kept only where calls, or mutated inputs, went both ways. It may cost speed, such as where an
        attention without a mask has a faster kernel.
    """

    code, name = "GF217", "fast-path"
    title = "leave the shortcut of a branch on a tensor to eager code"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0170", "GB0124"})
    both_ways = True

    def rewrite(self, site: Site) -> Rewrite | None:
        branch = branch_of(site, ast.If, ast.IfExp)
        if not isinstance(branch, ast.If | ast.IfExp):
            return None
        if any(isinstance(part, ast.NamedExpr) for part in ast.walk(branch.test)):
            return None
        if isinstance(branch, ast.If):
            shortcut, general = _drops(branch.body), _drops(branch.orelse)
        else:
            shortcut, general = _is_none(branch.body), _is_none(branch.orelse)
        if shortcut == general:
            return None
        word = "not {torch}.compiler.is_compiling() and" if shortcut else "{torch}.compiler.is_compiling() or"
        made = site.replace(branch.test, f"{word} {{test}}", test=branch.test)
        return None if made is None else Rewrite(made.edits, site.module.location(branch.test))

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x, mask=None):
                    # nothing is hidden
                    if mask is not None and mask.all():
                        mask = None  # faster
                    elif mask is not None:
                        x = x * 1
                    y = x.softmax(-1)
                    return y if mask is None else y.masked_fill(~mask, 0)
            """,
            after="""
                import torch

                def f(x, mask=None):
                    # nothing is hidden
                    if not torch.compiler.is_compiling() and mask is not None and mask.all():
                        mask = None  # faster
                    elif mask is not None:
                        x = x * 1
                    y = x.softmax(-1)
                    return y if mask is None else y.masked_fill(~mask, 0)
            """,
            calls=(
                "f(torch.rand(4), torch.ones(4, dtype=torch.bool))",
                "f(torch.rand(3), torch.arange(3) > 0)",
                "f(torch.rand(2))",
            ),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, padding):
                    padding = padding if padding.any() or x.isnan().any() else None
                    if padding is not None:
                        x = x.masked_fill(padding, 0.0)
                    return x.sum()
            """,
            after="""
                import torch

                def f(x, padding):
                    padding = padding if torch.compiler.is_compiling() or padding.any() or x.isnan().any() else None
                    if padding is not None:
                        x = x.masked_fill(padding, 0.0)
                    return x.sum()
            """,
            calls=("f(torch.rand(4), torch.zeros(4, dtype=torch.bool))", "f(torch.rand(3), torch.arange(3) > 0)"),
        ),
        Leaves(
            source="""
                def f(x, mask):
                    if mask.all():
                        mask = mask * 2
                    return x * mask
            """,
            calls=("f(torch.rand(3), torch.ones(3))",),
        ),
    )


def _drops(body: Sequence[ast.stmt]) -> bool:
    """Whether a block only sets names to None."""
    return bool(body) and all(
        isinstance(one, ast.Assign)
        and _is_none(one.value)
        and all(isinstance(target, ast.Name) for target in one.targets)
        for one in body
    )


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
