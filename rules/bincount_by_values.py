"""GF408: `bincount` with a number of bins."""

from __future__ import annotations

import ast
from dataclasses import replace

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._condition import Build
from ._lengths import statement_of
from ._masks import Put, masked_read, reads_through
from ._match import dotted, is_pure


class BincountByValues(Rule):
    """What it does:
        Counts into as many bins as `minlength` says, where Dynamo compiles; of what a mask selects, with one more bin
        for all else.

    Why it breaks the graph:
        `bincount` returns more bins than `minlength` where a value is larger, so that the size is known at run time
        only (GB0036).

    Example:
        load = torch.bincount(picked, minlength=experts)

        load = torch.zeros(experts, dtype=torch.int64).scatter_add_(0, picked, torch.ones_like(picked))

    Safety:
        Eager code does what it did. Compiled code asserts on the device that no value is too large for the bins.
    """

    code, name = "GF408", "bincount-by-values"
    title = "count into as many bins as minlength says"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0036"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        call, mask = _counted_at(site)
        if not site.dual or call is None:
            return None
        assert isinstance(call.func, ast.Attribute)
        plain = dotted(call.func.value) == "torch"
        given = dict(
            zip(("input", "weights", "minlength"), [*([] if plain else [call.func.value]), *call.args], strict=False)
        )
        given |= {one.arg: one.value for one in call.keywords if one.arg}
        counted, size, statement = given.get("input"), given.get("minlength"), statement_of(site.module, call)
        weights = given.get("weights")
        if isinstance(weights, ast.Constant) and weights.value is None:
            weights = None
        if counted is None or size is None or statement is None or isinstance(statement, ast.While):
            return None
        texts = [_whole(part, mask) for part in (counted, size, weights) if part is not None]
        if not all(map(is_pure, filter(None, (counted, size, weights)))) or any("{" in text for text in texts):
            return None
        values, bins = texts[:2]
        said = f"graphfix: {ast.unparse(counted)} has values beyond {bins}".replace('"', "'")
        lines, rest = [f'{{torch}}._assert_async(({values} < {bins}).all(), "{said}")'], ""
        if mask is not None:
            build, text = Build(site.module, call), ast.unparse(mask)
            name = build.fresh("values")
            lines = [
                f"{name} = {values}",
                f'{{torch}}._assert_async(({{torch}}.where({text}, {name}, 0) < {bins}).all(), "{said}")',
                f"{name} = {{torch}}.where({text}, {name}, {bins}).flatten()",
            ]
            values, bins, rest = name, f"{bins} + 1", "[:-1]"
        ones = f"{{torch}}.ones_like({values}, dtype={{torch}}.int64)"
        kind = "{torch}.int64"
        if weights is not None:
            ones, kind = texts[2] if mask is None else f"({texts[2]}).flatten()", f"{texts[2]}.dtype"
        zeros = f"{{torch}}.zeros({bins}, dtype={kind}, device={values}.device)"
        new = f"{zeros}.scatter_add_(0, {values}.long(), {ones}){rest}"
        template = f"{new} if {{torch}}.compiler.is_compiling() else {{old}}"
        above = site.before(statement, "\n".join(lines))
        return site.together(above, replace(site, dual=False).replace(call, template, old=call))

    cases = (
        Rewrites(
            before="""
                import torch

                def f(ids):
                    load = torch.bincount(ids, minlength=4)
                    return load.float() / ids.numel()
            """,
            after="""
                import torch

                def f(ids):
                    if torch.compiler.is_compiling():
                        torch._assert_async((ids < 4).all(), "graphfix: ids has values beyond 4")
                    load = (
                        torch.zeros(4, dtype=torch.int64, device=ids.device).scatter_add_(0, ids.long(), torch.ones_like(ids, dtype=torch.int64))
                        if torch.compiler.is_compiling()
                        else torch.bincount(ids, minlength=4)
                    )
                    return load.float() / ids.numel()
            """,  # noqa: E501
            calls=("f(torch.tensor([3, 0, 3]))", "f(torch.tensor([1, 1, 1, 2]))"),
        ),
        Rewrites(
            before="""
                import torch

                class Load(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.n = 3

                    def forward(self, x):
                        # how often each was taken
                        return x.flatten().bincount(minlength=self.n) + 1

                f = Load()
            """,
            after="""
                import torch

                class Load(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.n = 3

                    def forward(self, x):
                        # how often each was taken
                        if torch.compiler.is_compiling():
                            torch._assert_async((x.flatten() < self.n).all(), "graphfix: x.flatten() has values beyond self.n")
                        return (
                            torch.zeros(self.n, dtype=torch.int64, device=x.flatten().device).scatter_add_(0, x.flatten().long(), torch.ones_like(x.flatten(), dtype=torch.int64))
                            if torch.compiler.is_compiling()
                            else x.flatten().bincount(minlength=self.n)
                        ) + 1

                f = Load()
            """,  # noqa: E501
            calls=("f(torch.tensor([[2, 0], [2, 1]]))", "f(torch.tensor([[1], [1]]))"),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, w):
                    return torch.bincount(x, w, 3) * 2
            """,
            after="""
                import torch

                def f(x, w):
                    if torch.compiler.is_compiling():
                        torch._assert_async((x < 3).all(), "graphfix: x has values beyond 3")
                    return (
                        torch.zeros(3, dtype=w.dtype, device=x.device).scatter_add_(0, x.long(), w)
                        if torch.compiler.is_compiling()
                        else torch.bincount(x, w, 3)
                    ) * 2
            """,
            calls=("f(torch.tensor([2, 0]), torch.tensor([0.5, 1.5]))",),
        ),
        Rewrites(
            before="""
                import torch

                def f(label, pred, n: int):
                    valid = (label >= 0) & (label < n)
                    # row by row
                    return torch.bincount(n * label[valid].long() + pred[valid], minlength=n**2).reshape(n, n)
            """,
            after="""
                import torch

                def f(label, pred, n: int):
                    valid = (label >= 0) & (label < n)
                    # row by row
                    if torch.compiler.is_compiling():
                        values = n * label.long() + pred
                        torch._assert_async((torch.where(valid, values, 0) < n ** 2).all(), "graphfix: n * label[valid].long() + pred[valid] has values beyond n ** 2")
                        values = torch.where(valid, values, n ** 2).flatten()
                    return (
                        torch.zeros(n ** 2 + 1, dtype=torch.int64, device=values.device).scatter_add_(0, values.long(), torch.ones_like(values, dtype=torch.int64))[:-1]
                        if torch.compiler.is_compiling()
                        else torch.bincount(n * label[valid].long() + pred[valid], minlength=n**2)
                    ).reshape(n, n)
            """,  # noqa: E501
            calls=(
                "f(torch.tensor([0, 1, 255]), torch.tensor([1, 1, 0]), 2)",
                "f(torch.tensor([[0, -1], [2, 2]]), torch.tensor([[1, 1], [0, 2]]), 3)",
            ),
        ),
        Leaves(
            source="""
                import torch

                def f(x):
                    return torch.bincount(x) * 2
            """,
            calls=("f(torch.tensor([2, 0]))",),
        ),
        Leaves(
            source="""
                def f(x):
                    return x.unique(dim=0) * 2
            """,
            calls=("f(torch.tensor([2, 0]))",),
        ),
    )


def _counted_at(site: Site) -> tuple[ast.Call | None, ast.expr | None]:
    """The call of `bincount` that a site is, or that counts what a mask selects there; and that mask."""
    found = masked_read(site.node)
    for one in (site.node, *site.module.parents(site.node)):
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and one.func.attr == "bincount":
            return one, found[1] if found is not None else None
        if isinstance(one, ast.stmt):
            break
    return None, None


def _whole(node: ast.expr, mask: ast.expr | None) -> str:
    """An expression of what a mask selects, for all elements."""
    if mask is None:
        return ast.unparse(node)
    reads = {read: ast.unparse(found[0]) for read in reads_through(node, mask) if (found := masked_read(read))}
    return Put(reads).text(node)
