"""GF108: `x[:, : n.item()] = 0.0`, `x[n:] = 1.0`."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._match import is_pure
from ._numbers import Numbers, guarded, index_text
from ._reads import number_around, parent, read_at, reads_in
from ._windows import are_plain, dim_of


class StoreUpToLength(Rule):
    """What it does:
        Stores a constant through a mask, where it was stored into a slice whose bound is read out of a tensor.

    Why it breaks the graph:
        A slice with a bound that is known at run time only has a shape that is known at run time only (GB0124). A mask
        has the shape of the dimension.

    Example:
        x[:, lengths.max().item() :] = 0.0

        x[:, torch.arange(x.shape[1], device=x.device) >= lengths.max()] = 0.0

    Safety:
        Proven. The same elements are written, in place. A negative bound counts from the end, which the mask does not:
        an assert on the device refuses it.
    """

    code, name = "GF108", "store-up-to-length"
    title = "store through a mask, not into a slice of unknown length"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0124", "GB0219", "GB0033"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        module, part = site.module, _slice_at(site)
        if part is None:
            return None
        above = parent(module, part)
        parts: list[ast.expr] = list(above.elts) if isinstance(above, ast.Tuple) else [part]
        place = parent(module, above) if isinstance(above, ast.Tuple) else above
        statement = parent(module, place) if isinstance(place, ast.Subscript) else None
        if (
            not isinstance(place, ast.Subscript)
            or not isinstance(statement, ast.Assign)
            or statement.targets != [place]
        ):
            return None
        if (
            not _is_constant(statement.value)
            or not is_pure(place.value)
            or not are_plain(module, [one for one in parts if one is not part])
        ):
            return None
        bound = part.upper if part.lower is None else part.lower
        assert bound is not None
        known: tuple[ast.AST, ...] = (site.node,) if read_at(module, site.node) is not None else ()
        if not known and next(reads_in(module, bound), None) is None:
            known = (bound,)
        numbers = Numbers(module, known, keeps_gradient=True)
        limit = numbers.template(bound)
        numbers.guards.append(numbers.compared(bound, ast.GtE(), ast.Constant(0)))
        sign = "<" if part.lower is None else ">="
        template = f"{{torch}}.arange({{x}}.shape[{dim_of(parts, part)}], device={{x}}.device) {sign} {limit}"
        given = dict(numbers.parts)
        shown = ", ".join(template if one is part else index_text(one, given) for one in parts)
        if site.dual:
            stored = f"{{x}}[{shown}] = {{value}}\n"
            return guarded(
                site, numbers, site.replace(statement, stored, **given, x=place.value, value=statement.value)
            )
        return guarded(site, numbers, site.replace(place, f"{{x}}[{shown}]", **given, x=place.value))

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x, lengths):
                    y = x.clone()
                    y[:, lengths.max().item() :] = 0.0
                    return y * 2
            """,
            after="""
                import torch

                def f(x, lengths):
                    y = x.clone()
                    torch._assert_async(lengths.max() >= 0, "graphfix: Python refuses this value")
                    y[:, torch.arange(y.shape[1], device=y.device) >= lengths.max()] = 0.0
                    return y * 2
            """,
            calls=("f(torch.ones(2, 5), torch.tensor([2, 3]))", "f(torch.ones(3, 4), torch.tensor([9]))"),
        ),
        Rewrites(
            before="""
                import torch

                class Pad(torch.nn.Module):
                    def forward(self, hidden, lengths):
                        kept = torch.zeros_like(hidden)
                        for row in range(hidden.shape[0]):
                            kept[row, : int(lengths[row])] = 1  # what counts
                        return hidden * kept

                f = Pad()
            """,
            after="""
                import torch

                class Pad(torch.nn.Module):
                    def forward(self, hidden, lengths):
                        kept = torch.zeros_like(hidden)
                        for row in range(hidden.shape[0]):
                            torch._assert_async(lengths[row].reshape(()).long() >= 0, "graphfix: Python refuses this value")
                            kept[row, torch.arange(kept.shape[1], device=kept.device) < lengths[row].reshape(()).long()] = 1  # what counts
                        return hidden * kept

                f = Pad()
            """,  # noqa: E501
            calls=("f(torch.ones(2, 5), torch.tensor([2, 3]))", "f(torch.ones(3, 4), torch.tensor([0, 4, 1]))"),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, n):
                    y = x.clone()
                    y[..., : n.item() + 1] = float("-inf")
                    return y
            """,
            after="""
                import torch

                def f(x, n):
                    y = x.clone()
                    torch._assert_async(n.reshape(()) + 1 >= 0, "graphfix: Python refuses this value")
                    y[..., torch.arange(y.shape[-1], device=y.device) < n.reshape(()) + 1] = float("-inf")
                    return y
            """,
            calls=("f(torch.ones(2, 5), torch.tensor(2))",),
        ),
        Leaves(
            source="""
                def f(x, n, v):
                    y = x.clone()
                    y[: n.item()] = v
                    return y
            """,
            calls=("f(torch.ones(4), torch.tensor(2), torch.ones(2))",),
        ),
        Leaves(
            source="""
                def f(x, n):
                    return x[: n.item()] * 2
            """,
            calls=("f(torch.ones(4), torch.tensor(2))",),
        ),
    )


def _slice_at(site: Site) -> ast.Slice | None:
    """The slice with one bound that is read out of a tensor."""
    node = site.node
    if (read := read_at(site.module, node)) is not None:
        found = parent(site.module, number_around(site.module, read.node))
    elif isinstance(node, ast.Subscript):
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        slices = [one for one in parts if isinstance(one, ast.Slice) and (one.lower or one.upper)]
        found = slices[0] if len(slices) == 1 else None
    else:
        found = node
    if not isinstance(found, ast.Slice) or found.step is not None or (found.lower is None) == (found.upper is None):
        return None
    return found


def _is_constant(value: ast.expr) -> bool:
    if isinstance(value, ast.UnaryOp):
        return _is_constant(value.operand)
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "float":
        return all(isinstance(one, ast.Constant) for one in value.args)
    return isinstance(value, ast.Constant)
