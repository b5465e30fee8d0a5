"""GF402: `x[mask].sum()` and its like."""

from __future__ import annotations

import ast
from dataclasses import replace

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._lengths import statement_of
from ._masks import Put, has_shape_of, mask_text, masked_read, reads_through
from ._match import dotted, is_atom
from ._selection import COUNTS, LOSSES, NEUTRAL, deviation, over_rows, reduced, rows_reduced, spread_of


class MaskedReduction(Rule):
    """What it does:
        Reduces the whole tensor, with the elements that the mask leaves out made neutral, instead of what `x[mask]`
        selects. Knows sums, means, extremes, `any`, `all`, norms, deviations, the number of elements,
        element-wise functions in between, and losses of two tensors under one mask.

    Why it breaks the graph:
        How many elements the mask selects is known at run time only (GB0036).

    Example:
        loss = (error[mask] ** 2).mean()

        loss = torch.where(mask, torch.where(mask, error, 0) ** 2, 0).sum() / mask.sum()

    Safety:
        Proven. Floating-point sums may differ in the last bits, since they add in another order: eager then keeps the
        original (the dual form). Maximum and minimum of nothing raise: compiled code asserts that there is something.
    """

    code, name = "GF402", "masked-reduction"
    title = "reduce the whole tensor under the mask"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0036"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        found = masked_read(site.node)
        if found is None or not isinstance(site.node, ast.expr):
            return None
        tensor, mask = found
        selected = isinstance(site.node, ast.Call)  # masked_select broadcasts as where does
        shaped = ast.unparse(mask) if selected else mask_text(site.module, tensor, mask)
        alike, of = has_shape_of(site.module, mask, tensor), ast.unparse(tensor)
        closed = shaped if is_atom(mask) or not (alike or selected) else f"({shaped})"
        count = f"{closed}.sum()" if alike else f"{closed}.expand_as({of}).sum()"
        if (over_rows := _over_rows(site, tensor, mask)) is not None:
            return over_rows
        if (loss := _loss(site, mask, count)) is not None:
            return loss
        if "{" in shaped:
            return None
        if (spread := spread_of(site.module, site.node)) is not None:
            return site.replace(spread[0], deviation(spread[1], shaped, of, count))
        inner, whole, kind = reduced(site.module, site.node)
        if whole is None:
            return None
        if kind in COUNTS:
            rows = f"{ast.unparse(mask)}.sum()" if is_atom(mask) else f"({ast.unparse(mask)}).sum()"
            return site.replace(whole, count if kind == "numel" else rows)
        reads = list(reads_through(inner, mask))
        filled = {read: f"torch.where({shaped}, {ast.unparse(masked_read(read)[0])}, 0)" for read in reads}  # type: ignore[index]
        value = ast.unparse(tensor) if inner is site.node else Put(filled).text(inner)
        value = value.replace("torch.where(", "{torch}.where(") if inner is not site.node else value
        text = f"{{torch}}.where({shaped}, {value}, {NEUTRAL[kind]})"
        if kind == "mean":
            return site.replace(whole, f"{text}.sum() / {count}")
        changed = site.replace(whole, f"{text}.{kind}()")
        if "inf" not in NEUTRAL[kind]:
            return changed
        statement = statement_of(site.module, site.node)
        if statement is None:
            return None
        said = f'"graphfix: {ast.unparse(mask)} selects nothing"'.replace("'", "")
        anything = f"{ast.unparse(mask)}.any()" if is_atom(mask) else f"({ast.unparse(mask)}).any()"
        guard = replace(site, dual=True).before(statement, f"{{torch}}._assert_async({anything}, {said})")
        return site.together(guard, changed)

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x):
                    total = x[x > 0].sum()
                    return x * total
            """,
            after="""
                import torch

                def f(x):
                    total = torch.where(x > 0, x, 0).sum()
                    return x * total
            """,
            calls=("f(torch.tensor([1.0, -2.0, 3.0]))", "f(-torch.ones(4))"),
        ),
        Rewrites(
            before="""
                import torch

                class Loss(torch.nn.Module):
                    def forward(self, prediction, label, keep):
                        return ((prediction[keep] - label[keep]) ** 2).mean()

                f = Loss()
            """,
            after="""
                import torch

                class Loss(torch.nn.Module):
                    def forward(self, prediction, label, keep):
                        return torch.where(keep[(...,) + (None,) * (prediction.dim() - keep.dim())], (torch.where(keep[(...,) + (None,) * (prediction.dim() - keep.dim())], prediction, 0) - torch.where(keep[(...,) + (None,) * (prediction.dim() - keep.dim())], label, 0)) ** 2, 0).sum() / keep[(...,) + (None,) * (prediction.dim() - keep.dim())].expand_as(prediction).sum()

                f = Loss()
            """,  # noqa: E501
            calls=(
                "f(torch.arange(8.0).view(4, 2), torch.zeros(4, 2), torch.arange(4) > 1)",
                "f(torch.arange(3.0), torch.ones(3), torch.tensor([True, True, False]))",
            ),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, y):
                    # the largest of those that count
                    valid = ~torch.isnan(x)
                    return y * torch.masked_select(x, valid).max()
            """,
            after="""
                import torch

                def f(x, y):
                    # the largest of those that count
                    valid = ~torch.isnan(x)
                    if torch.compiler.is_compiling():
                        torch._assert_async(valid.any(), "graphfix: valid selects nothing")
                    return y * torch.where(valid, x, -torch.inf).max()
            """,
            calls=("f(torch.tensor([1.0, float('nan')]), torch.ones(2))", "f(torch.arange(3.0), torch.ones(2))"),
        ),
        Rewrites(
            before="""
                import torch
                import torch.nn.functional as F

                def f(x, target):
                    known = x != 0
                    loss = F.l1_loss(x[known], target[known])
                    return loss + len(x[known])
            """,
            after="""
                import torch
                import torch.nn.functional as F

                def f(x, target):
                    known = x != 0
                    loss = F.l1_loss(torch.where(known, x, 0), torch.where(known, target, 0), reduction='sum') / known.sum()
                    return loss + known.sum()
            """,  # noqa: E501
            calls=("f(torch.tensor([1.0, 0.0, 3.0]), torch.zeros(3))", "f(torch.ones(4), torch.ones(4))"),
        ),
        Rewrites(
            before="""
                def f(scores, labels):
                    return scores.sigmoid().masked_select(labels > 0).sub(1).pow(2).sum()
            """,
            after="""
                import torch

                def f(scores, labels):
                    return torch.where(labels > 0, torch.where(labels > 0, scores.sigmoid(), 0).sub(1).pow(2), 0).sum()
            """,
            calls=(
                "f(torch.zeros(2, 2), torch.tensor([[1, 0], [0, 1]]))",
                "f(torch.zeros(2, 2), torch.tensor([1, 0]))",
            ),
        ),
        Rewrites(
            before="""
                def f(x, m):
                    e = x * 2
                    mean = e[m].mean(dim=0)  # of each
                    return mean + e[m].sum(0)
            """,
            after="""
                import torch

                def f(x, m):
                    e = x * 2
                    mean = torch.where(m[(...,) + (None,) * (e.dim() - m.dim())], e, 0).flatten(0, m.dim() - 1).sum(0) / m.sum()  # of each
                    return mean + torch.where(m[(...,) + (None,) * (e.dim() - m.dim())], e, 0).flatten(0, m.dim() - 1).sum(0)
            """,  # noqa: E501
            calls=(
                "f(torch.arange(12.0).reshape(2, 3, 2), torch.tensor([[True, False, True], [True, True, False]]))",
                "f(torch.ones(4, 3), torch.tensor([True, False, False, True]))",
            ),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, length):
                    return x / torch.masked_select(x, torch.arange(2) < length).std() + x[x > 0].var()
            """,
            after="""
                import torch

                def f(x, length):
                    return x / ((torch.where(torch.arange(2) < length, x - torch.where(torch.arange(2) < length, x, 0).sum() / (torch.arange(2) < length).expand_as(x).sum(), 0) ** 2).sum() / ((torch.arange(2) < length).expand_as(x).sum() - 1).clamp(min=0)).sqrt() + (torch.where(x > 0, x - torch.where(x > 0, x, 0).sum() / (x > 0).sum(), 0) ** 2).sum() / ((x > 0).sum() - 1).clamp(min=0)
            """,  # noqa: E501
            calls=("f(torch.tensor([[1.0, 3.0]]), 2)", "f(torch.tensor([[1.0, -1.0], [3.0, -2.0]]), 1)"),
        ),
        Leaves(
            source="""
                def f(x, index):
                    return x[index].sum() + x[x > 0].cumsum(0)[-1]
            """,
            calls=("f(torch.ones(3), torch.tensor([0, 1]))",),
        ),
        Leaves(
            source="""
                def f(x):
                    return x[x > 0].std(0)
            """,
            calls=("f(torch.arange(4.0))",),
        ),
    )


def _over_rows(site: Site, tensor: ast.expr, mask: ast.expr) -> Rewrite | None:
    """`x[rows].mean(dim=0)`: the sum of what the mask selects, for each place in a row, and its mean."""
    found = over_rows(site.module, site.node) if isinstance(site.node, ast.expr) else None
    if found is None or found[1] not in ("sum", "mean"):
        return None
    whole = ast.unparse(mask) if is_atom(mask) else f"({ast.unparse(mask)})"
    text = rows_reduced(found[1], mask_text(site.module, tensor, mask), ast.unparse(tensor), whole)
    return site.replace(found[0], text)


def _loss(site: Site, mask: ast.expr, count: str) -> Rewrite | None:
    """A mean loss of two masked tensors as a sum over both, divided by how many count."""
    call = next(site.module.parents(site.node), None)
    if not isinstance(call, ast.Call) or call.keywords or len(call.args) != 2:
        return None
    if dotted(call.func).rpartition(".")[2] not in LOSSES:
        return None
    shaped, texts = None, []
    for arg in call.args:
        found = masked_read(arg)
        if found is None or not list(reads_through(arg, mask)):
            return None
        shaped = shaped or mask_text(site.module, found[0], mask)
        texts.append(f"{{torch}}.where({shaped}, {ast.unparse(found[0])}, 0)")
    return site.replace(call, f"{{f}}({texts[0]}, {texts[1]}, reduction='sum') / {count}", f=call.func)
