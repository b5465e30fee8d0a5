"""GF408: `bincount` with a number of bins."""

from __future__ import annotations

import ast
from dataclasses import replace

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._lengths import statement_of
from ._match import dotted, is_pure


class BincountByValues(Rule):
    """What it does:
        Counts into as many bins as `minlength` says, where Dynamo compiles.

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
        call = site.node
        if not site.dual or not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            return None
        if call.func.attr != "bincount":
            return None
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
        texts = [ast.unparse(part) for part in (counted, size, weights) if part is not None]
        if not all(map(is_pure, filter(None, (counted, size, weights)))) or any("{" in text for text in texts):
            return None
        said = f"graphfix: {texts[0]} has values beyond {texts[1]}".replace('"', "'")
        small = f"{texts[0]} < {texts[1]}"
        guard = site.before(statement, f'{{torch}}._assert_async(({small}).all(), "{said}")')
        ones = f"{{torch}}.ones_like({texts[0]}, dtype={{torch}}.int64)" if weights is None else texts[2]
        kind = "{torch}.int64" if weights is None else f"{texts[2]}.dtype"
        bins = f"{{torch}}.zeros({texts[1]}, dtype={kind}, device={texts[0]}.device)"
        new = f"{bins}.scatter_add_(0, {texts[0]}.long(), {ones})"
        template = f"{new} if {{torch}}.compiler.is_compiling() else {{old}}"
        return site.together(guard, replace(site, dual=False).replace(call, template, old=call))

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
