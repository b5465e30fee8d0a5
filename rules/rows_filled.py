"""GF423: `a[mask], b[mask] = f(x[mask], y[mask, :])`."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._condition import Build
from ._masks import Put, mask_text
from ._match import is_pure, is_whole, same
from ._selection import leaves_out


class RowsFilled(Rule):
    """What it does:
        Calls a function on all rows, where code calls it on those that a mask selects and stores what it returns into
        the same rows. The rows that the mask leaves out are filled with one that it selects, so that the function meets
        no values that it would refuse.

    Why it breaks the graph:
        How many rows the mask selects is known at run time only (GB0036).

    Example:
        out[inside], slope[inside] = spline(x[inside], widths[inside, :])

        picked = inside.flatten()
        first = picked.long().argmax(0, keepdim=True)
        x_rows = x.flatten(0, inside.dim() - 1)
        x_rows = torch.where(picked[(...,) + (None,) * (x_rows.dim() - 1)], x_rows, x_rows[first])
        widths_rows = widths.flatten(0, inside.dim() - 1)
        widths_rows = torch.where(picked[(...,) + (None,) * (widths_rows.dim() - 1)], widths_rows, widths_rows[first])
        new_out, new_slope = spline(x_rows, widths_rows)
        out.copy_(torch.where(inside[(...,) + (None,) * (out.dim() - inside.dim())], new_out.reshape(out.shape), out))
        slope.copy_(torch.where(inside[(...,) + (None,) * (slope.dim() - inside.dim())], new_slope.reshape(slope.shape), slope))

    Safety:
        Proven. Right only where each row stands for itself; a run must show that, in which the mask leaves some out.
        The other rows are computed for nothing.
    """  # noqa: E501

    code, name = "GF423", "rows-filled"
    title = "call it on all rows, and take the result where the mask says"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0036"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        module, statement = site.module, site.enclosing(ast.Assign)
        mask = _mask(site.node)
        if (
            statement is None
            or mask is None
            or len(statement.targets) != 1
            or not isinstance(statement.value, ast.Call)
        ):
            return None
        target = statement.targets[0]
        places: Sequence[ast.expr] = target.elts if isinstance(target, ast.Tuple) else [target]
        tensors = [place.value for place in places if _selects(place, mask) and isinstance(place, ast.Subscript)]
        reads = [one for one in ast.walk(statement.value) if isinstance(one, ast.Subscript) and _selects(one, mask)]
        if len(tensors) < len(places) or not reads or not all(map(is_pure, [*tensors, *(one.value for one in reads)])):
            return None
        if "{" in module.segment(statement) or not leaves_out(site, statement, f"{mask.id}.all()"):
            return None
        return _rewritten(site, statement, mask, tensors, reads)

    cases = (
        Rewrites(
            before="""
                import torch

                def spline(inputs, widths):
                    bins = widths.softmax(-1).cumsum(-1)
                    return (inputs[:, None] * bins).sum(-1), bins.prod(-1)

                def f(x, widths, bound: float = 1.0):
                    inside = (x >= -bound) & (x <= bound)
                    out, slope = torch.zeros_like(x), torch.ones_like(x)
                    # the rest stays
                    out[inside], slope[inside] = spline(
                        inputs=x[inside],
                        widths=widths[inside, :],
                    )
                    return out, slope
            """,
            after="""
                import torch

                def spline(inputs, widths):
                    bins = widths.softmax(-1).cumsum(-1)
                    return (inputs[:, None] * bins).sum(-1), bins.prod(-1)

                def f(x, widths, bound: float = 1.0):
                    inside = (x >= -bound) & (x <= bound)
                    out, slope = torch.zeros_like(x), torch.ones_like(x)
                    # the rest stays
                    picked = inside.flatten()
                    first = picked.long().argmax(0, keepdim=True)
                    x_rows = x.flatten(0, inside.dim() - 1)
                    x_rows = torch.where(picked[(...,) + (None,) * (x_rows.dim() - 1)], x_rows, x_rows[first])
                    widths_rows = widths.flatten(0, inside.dim() - 1)
                    widths_rows = torch.where(picked[(...,) + (None,) * (widths_rows.dim() - 1)], widths_rows, widths_rows[first])
                    new_out, new_slope = spline(inputs=x_rows, widths=widths_rows)
                    out.copy_(torch.where(inside[(...,) + (None,) * (out.dim() - inside.dim())], new_out.reshape(out.shape), out))
                    slope.copy_(torch.where(inside[(...,) + (None,) * (slope.dim() - inside.dim())], new_slope.reshape(slope.shape), slope))
                    return out, slope
            """,  # noqa: E501
            calls=(
                "f(torch.tensor([[0.5, 3.0]]), torch.ones(1, 2, 3))",
                "f(torch.tensor([0.5, -0.25, 3.0]), torch.ones(3, 4))",
            ),
        ),
        Rewrites(
            before="""
                import torch

                class Head(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.project = torch.nn.Linear(2, 2)

                    def forward(self, x, keep):
                        out = x.clone()
                        out[keep] = self.project(x[keep])
                        return out

                f = Head().requires_grad_(False)
            """,
            after="""
                import torch

                class Head(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.project = torch.nn.Linear(2, 2)

                    def forward(self, x, keep):
                        out = x.clone()
                        picked = keep.flatten()
                        first = picked.long().argmax(0, keepdim=True)
                        x_rows = x.flatten(0, keep.dim() - 1)
                        x_rows = torch.where(picked[(...,) + (None,) * (x_rows.dim() - 1)], x_rows, x_rows[first])
                        new_out = self.project(x_rows)
                        out.copy_(torch.where(keep[(...,) + (None,) * (out.dim() - keep.dim())], new_out.reshape(out.shape), out))
                        return out

                f = Head().requires_grad_(False)
            """,  # noqa: E501
            calls=("f(torch.ones(3, 2), torch.arange(3) > 0)", "f(torch.ones(2, 2), torch.arange(2) > 1)"),
        ),
        Leaves(
            source="""
                def f(x, keep):
                    x = x.clone()
                    x[keep] = x[keep].sort().values
                    return x[keep]
            """,
            calls=("f(torch.tensor([3.0, 1.0, 2.0]), torch.tensor([True, False, True]))",),
        ),
    )


def _mask(node: ast.AST) -> ast.Name | None:
    """The mask of `x[mask]` and `x[mask, :]`, where it has a name."""
    if not isinstance(node, ast.Subscript):
        return None
    by = node.slice
    if isinstance(by, ast.Tuple) and by.elts and all(map(_is_rest, by.elts[1:])):
        by = by.elts[0]
    return by if isinstance(by, ast.Name) else None


def _is_rest(node: ast.expr) -> bool:
    return is_whole(node) or (isinstance(node, ast.Constant) and node.value is ...)


def _selects(node: ast.AST, mask: ast.Name) -> bool:
    found = _mask(node)
    return found is not None and same(found, mask)


def _rewritten(
    site: Site, statement: ast.Assign, mask: ast.Name, tensors: Sequence[ast.expr], reads: Sequence[ast.Subscript]
) -> Rewrite | None:
    build, by = Build(site.module, statement), mask.id
    picked, first = build.fresh("picked"), build.fresh("first")
    lines = [f"{picked} = {by}.flatten()", f"{first} = {picked}.long().argmax(0, keepdim=True)"]
    names: dict[str, str] = {}
    for read in reads:
        base = ast.unparse(read.value)
        if base not in names:
            names[base] = rows = build.fresh(f"{_last(read.value)}_rows")
            lines.append(f"{rows} = {base}.flatten(0, {by}.dim() - 1)")
            shaped = f"{picked}[(...,) + (None,) * ({rows}.dim() - 1)]"
            lines.append(f"{rows} = {{torch}}.where({shaped}, {rows}, {rows}[{first}])")
    value = Put({read: names[ast.unparse(read.value)] for read in reads}).text(statement.value)
    made = [build.fresh(f"new_{_last(tensor)}") for tensor in tensors]
    lines.append(f"{', '.join(made)} = {value}")
    for place, new in zip(tensors, made, strict=True):
        tensor, shaped = ast.unparse(place), mask_text(site.module, place, mask)
        lines.append(f"{tensor}.copy_({{torch}}.where({shaped}, {new}.reshape({tensor}.shape), {tensor}))")
    return site.replace(statement, "\n".join(lines) + "\n")


def _last(node: ast.expr) -> str:
    """A word for what an expression stands for: `hidden` for `self.hidden`."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else "x"
