"""GF403: `x[mask] *= 2` and `x[mask] = f(y[mask])`."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._masks import OPERATORS, Put, mask_text, masked_read, reads_through
from ._match import is_atom, same
from ._selection import element_by_element, leaves_out


class MaskedUpdate(Rule):
    """What it does:
        Computes the new values for all elements and takes them where the mask is true, instead of reading the selected
        elements out, changing them and writing them back.

    Why it breaks the graph:
        How many elements the mask selects is known at run time only (GB0036). A `where` keeps the shape.

    Example:
        x[mask] *= 2
        y[mask] = torch.log1p(x[mask])

        x.copy_(torch.where(mask, x * 2, x))
        y.copy_(torch.where(mask, torch.log1p(x), y))

    Safety:
        Proven. The tensor is still changed in place. The change is computed for elements that the mask leaves out as
        well, which costs time where the mask selects little, and is right only where each element stands for itself; a
        run must show that, in which the mask leaves some out.
    """

    code, name = "GF403", "masked-update"
    title = "change in place where the mask is true"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0036"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        statement = site.enclosing(ast.stmt)
        target: ast.expr
        if isinstance(statement, ast.AugAssign):
            target, operator = statement.target, OPERATORS.get(type(statement.op))
        elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, operator = statement.targets[0], ""
        else:
            return None
        found = masked_read(target)
        if found is None or operator is None:
            return None
        tensor, mask = found
        reads = list(reads_through(statement.value, mask))
        if not operator and not reads:
            return None
        alone = all(element_by_element(site.module, read, statement.value) for read in reads)
        if not alone and not leaves_out(site, statement, f"({ast.unparse(mask)}).all()"):
            return None
        value = Put({read: ast.unparse(masked_read(read)[0]) for read in reads}).text(statement.value)  # type: ignore[index]
        whole = ast.unparse(tensor)
        if operator:
            value = f"{whole} {operator} {value if _is_simple(statement.value, reads) else f'({value})'}"
        if "{" in value:
            return None
        return site.replace(
            statement,
            f"{{tensor}}.copy_({{torch}}.where({mask_text(site.module, tensor, mask)}, {value}, {{tensor}}))\n",
            tensor=tensor,
        )

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x):
                    x = x.clone()
                    x[x > 0] *= 2
                    return x + 1
            """,
            after="""
                import torch

                def f(x):
                    x = x.clone()
                    x.copy_(torch.where(x > 0, x * 2, x))
                    return x + 1
            """,
            calls=("f(torch.tensor([1.0, -2.0, 3.0]))", "f(-torch.ones(4))"),
        ),
        Rewrites(
            before="""
                import torch

                class Scale(torch.nn.Module):
                    def forward(self, scores, keep, bonus: torch.Tensor):
                        out = torch.zeros_like(scores)
                        # only what is kept
                        out[keep] = scores[keep] + 2 * bonus[keep].abs()
                        return out.sum()

                f = Scale()
            """,
            after="""
                import torch

                class Scale(torch.nn.Module):
                    def forward(self, scores, keep, bonus: torch.Tensor):
                        out = torch.zeros_like(scores)
                        # only what is kept
                        out.copy_(torch.where(keep[(...,) + (None,) * (out.dim() - keep.dim())], scores + 2 * bonus.abs(), out))
                        return out.sum()

                f = Scale()
            """,  # noqa: E501
            calls=(
                "f(torch.ones(3, 4), torch.tensor([True, False, True]), -torch.ones(3, 4))",
                "f(torch.ones(5, 2), torch.arange(5) > 3, torch.ones(5, 2))",
            ),
        ),
        Rewrites(
            before="""
                import torch

                def f(batch, other):
                    values = batch.clone()
                    bad = torch.isnan(values)
                    values[bad] = other[
                        bad
                    ]
                    return values
            """,
            after="""
                import torch

                def f(batch, other):
                    values = batch.clone()
                    bad = torch.isnan(values)
                    values.copy_(torch.where(bad, other, values))
                    return values
            """,
            calls=(
                "f(torch.tensor([1.0, float('nan')]), torch.tensor([5.0, 6.0]))",
                "f(torch.ones(3), torch.zeros(3))",
            ),
        ),
        Leaves(
            source="""
                def f(x, values):
                    x = x.clone()
                    x[x > 0] = values.nonzero().sum() * 1.0
                    return x
            """,
            calls=("f(torch.ones(3), torch.ones(2))",),
        ),
        Leaves(
            source="""
                def f(x, y):
                    x = x.clone()
                    x[x > 0] = y[y > 0] * 2
                    return x
            """,
            calls=("f(torch.ones(3), torch.ones(3))",),
        ),
    )


def _is_simple(value: ast.expr, reads: list[ast.expr]) -> bool:
    """Whether a value needs no parentheses behind an operator."""
    return is_atom(value) or any(same(value, read) for read in reads)
