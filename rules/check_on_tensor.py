"""GF214: `torch._check_tensor_all(tensor)` and its like."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._condition import Build, decide
from ._guards import message_of_check
from ._match import meaning

_OF_TENSORS = {"torch._check_tensor_all": 0, "torch._check_tensor_all_with": 1}
"""Checks that all elements are true, and where they take the tensor."""
_OF_BOOLS = {
    "torch._check": 0, "torch._check_index": 0, "torch._check_value": 0, "torch._check_type": 0,
    "torch._check_not_implemented": 0, "torch._check_with": 1,
}  # fmt: skip
"""Checks of a Python bool, which may be read out of a tensor."""


class CheckOnTensor(Rule):
    """What it does:
        Lets compiled code assert on the device what eager code gives to `torch._check_tensor_all` or `torch._check`.

    Why it breaks the graph:
        These functions decide in Python whether to raise, so they read the tensor (GB0124), on every call, for an error
        that hardly ever comes.

    Example:
        torch._check_tensor_all(ids >= 0, lambda: "negative ids")

        if torch.compiler.is_compiling():
            torch._assert_async((ids >= 0).all(), "negative ids")
        else:
            torch._check_tensor_all(ids >= 0, lambda: "negative ids")

    Safety:
        Proven, and eager is unchanged. Compiled code raises RuntimeError; on a GPU it does so at the next point where
        the host waits, and CUDA stays unusable in that process, as after every device-side assertion.
    """

    code, name = "GF214", "check-on-tensor"
    title = "assert on the device what a check of torch reads"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0124", "GB0033", "GB0170"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        check = site.enclosing(ast.Expr)
        if not site.dual or check is None or not isinstance(check.value, ast.Call) or check.value.keywords:
            return None
        call, name = check.value, meaning(site.module, check.value.func)
        place = {**_OF_TENSORS, **_OF_BOOLS}.get(name)
        if place is None or len(call.args) <= place:
            return None
        build = Build(site.module, site.node)
        condition = call.args[place]
        if name in _OF_TENSORS:
            asked: str | None = f"{build.slot(condition)}.all()"
        else:
            decision = decide(build, condition)
            asked = decision.tensor if decision is not None and not decision.plain else None
        if asked is None or any(isinstance(part, ast.NamedExpr) for part in ast.walk(call)):
            return None
        told = call.args[place + 1] if len(call.args) > place + 1 else None
        return build.put(
            site, check, build.wrapped(f"{{torch}}._assert_async({asked}, {message_of_check(told, condition)})")
        )

    cases = (
        Rewrites(
            before="""
                import torch

                def f(ids, table):
                    torch._check_tensor_all(ids >= 0, lambda: "negative ids")
                    return table[ids]
            """,
            after="""
                import torch

                def f(ids, table):
                    if torch.compiler.is_compiling():
                        torch._assert_async((ids >= 0).all(), "negative ids")
                    else:
                        torch._check_tensor_all(ids >= 0, lambda: "negative ids")
                    return table[ids]
            """,
            calls=("f(torch.tensor([1, 0]), torch.ones(3, 2))", "f(torch.tensor([2]), torch.ones(4))"),
        ),
        Rewrites(
            before="""
                import torch

                def check(cond, msg, error=ValueError):
                    def told():
                        return msg

                    if isinstance(cond, torch.Tensor):
                        torch._check_tensor_all_with(error, cond, told)
                    else:
                        torch._check_with(error, cond, told)

                class Merge(torch.nn.Module):
                    def forward(self, ids, features):
                        mask = ids == 5
                        check(mask.sum() == features.shape[0], f"{features.shape[0]} features do not fit")
                        return features.sum() * mask

                f = Merge()
            """,
            after="""
                import torch

                def check(cond, msg, error=ValueError):
                    def told():
                        return msg

                    if isinstance(cond, torch.Tensor):
                        if torch.compiler.is_compiling():
                            torch._assert_async(cond.all(), "cond does not hold")
                        else:
                            torch._check_tensor_all_with(error, cond, told)
                    else:
                        torch._check_with(error, cond, told)

                class Merge(torch.nn.Module):
                    def forward(self, ids, features):
                        mask = ids == 5
                        check(mask.sum() == features.shape[0], f"{features.shape[0]} features do not fit")
                        return features.sum() * mask

                f = Merge()
            """,
            calls=("f(torch.tensor([5, 1, 5]), torch.ones(2))", "f(torch.tensor([2, 5]), torch.ones(1, 2))"),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, n):
                    torch._check(bool((n > 0).all()), lambda: f"{n.shape} counts")
                    return x / n
            """,
            after="""
                import torch

                def f(x, n):
                    if torch.compiler.is_compiling():
                        torch._assert_async((n > 0).all(), "<n.shape> counts")
                    else:
                        torch._check(bool((n > 0).all()), lambda: f"{n.shape} counts")
                    return x / n
            """,
            calls=("f(torch.ones(3), torch.ones(3))", "f(torch.ones(2), torch.tensor(4))"),
        ),
        Leaves(
            source="""
                import torch

                def f(x):
                    torch._check(x.shape[0] > 1)
                    return x * x.sum().item()
            """,
            calls=("f(torch.ones(3))",),
        ),
    )
