"""GF209: `and`, `or`, `not` and chained comparisons of tensors."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.values import Kind

from ._condition import Build, as_tensor, is_decided_by_tensor
from ._match import is_boolean


class TensorAndOr(Rule):
    """What it does:
        Joins truth values in tensors by `&`, `|` and `~` instead of `and`, `or`, `not` and chained comparisons.

    Why it breaks the graph:
        Python asks each part for its truth, to know whether to go on, so Dynamo ends the graph (GB0170, GB0033).

    Example:
        bad = x.isnan().any() or x.isinf().any()

        bad = x.isnan().any() | x.isinf().any()

    Safety:
        Proven. All parts are computed; a part that only holds where an earlier one does may raise, which a run shows.
        `not t` gives a tensor instead of a Python bool: where eager code could tell, the dual form is used.
    """

    code, name = "GF209", "tensor-and-or"
    title = "join truth values in tensors without Python"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0170", "GB0124", "GB0033"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        whole = _operation(site)
        if whole is None:
            return None
        build = Build(site.module, site.node)
        parts = list(_parts(whole))
        if isinstance(whole, ast.BoolOp) and not all(_is_truth(build, part) for part in parts):
            return None
        if not any(is_decided_by_tensor(build, part) for part in parts):
            return None
        text = as_tensor(build, whole)
        return None if text is None else build.put_value(site, whole, text)

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x):
                    bad = x.isnan().any() or x.isinf().any()
                    return torch.where(bad, 0.0, x)
            """,
            after="""
                import torch

                def f(x):
                    bad = x.isnan().any() | x.isinf().any()
                    return torch.where(bad, 0.0, x)
            """,
            calls=("f(torch.ones(3))", "f(torch.tensor([1.0, float('inf')]))"),
        ),
        Rewrites(
            before="""
                import torch

                class Gate(torch.nn.Module):
                    def forward(self, x, low=0.1, high=4.0):
                        inside = low < x.mean() <= high  # both bounds
                        return x * inside

                f = Gate()
            """,
            after="""
                import torch

                class Gate(torch.nn.Module):
                    def forward(self, x, low=0.1, high=4.0):
                        inside = (low < x.mean()) & (x.mean() <= high)  # both bounds
                        return x * inside

                f = Gate()
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(4) * 9)"),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, y):
                    ready = (
                        x.sum() > 0  # something is there
                        and not (y < 0).any()
                        and (x.max() < 3 or y.max() < 3)
                    )
                    return torch.where(ready, x, y)
            """,
            after="""
                import torch

                def f(x, y):
                    # something is there
                    ready = (x.sum() > 0) & ~(y < 0).any() & ((x.max() < 3) | (y.max() < 3))
                    return torch.where(ready, x, y)
            """,
            calls=("f(torch.ones(3), torch.ones(3))", "f(-torch.ones(4), torch.ones(4))"),
        ),
        Leaves(
            source="""
                def f(x, y):
                    chosen = x.sum() or y.sum()
                    return x * chosen
            """,
            calls=("f(torch.zeros(3), torch.ones(3))",),
        ),
        Leaves(
            source="""
                def f(x, flag: bool, other=None):
                    both = flag and other is None
                    return x * 2 if both or x.dim() > 3 else x.abs()
            """,
            calls=("f(torch.zeros(3), True)", "f(torch.zeros(3), False)"),
        ),
    )


def _operation(site: Site) -> ast.expr | None:
    """The outermost operation of truth around what Dynamo named, where it is a value and no condition."""
    whole: ast.expr | None = None
    for node in (site.node, *site.module.parents(site.node)):
        if isinstance(node, ast.BoolOp) or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)):
            whole = node
        elif isinstance(node, ast.Compare) and (len(node.ops) > 1 or node is site.node):
            whole = node if len(node.ops) > 1 else whole
        elif isinstance(node, ast.If | ast.IfExp | ast.While | ast.Assert | ast.comprehension):
            return None if whole is not None and getattr(node, "test", None) is whole else whole
        elif node is not site.node:
            return whole
    return whole


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from _parts(value)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield from _parts(node.operand)
    else:
        yield node


def _is_truth(build: Build, part: ast.expr) -> bool:
    """Whether a part is a truth value for certain: `or` gives what it found, not whether."""
    value = build.module.analysis.value(part)
    names = {"any", "all"}
    method = isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr in names
    return (
        (value.kind is Kind.TENSOR and value.boolean)
        or isinstance(part, ast.Compare)
        or method
        or is_boolean(build.module, part)
    )
