"""GF211: `assert tensor, f"…"`."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._condition import Build, branch_of, decide
from ._guards import message_of_assert


class AssertOnTensor(Rule):
    """What it does:
        Lets compiled code assert on the device what eager code asserts.

    Why it breaks the graph:
        Dynamo keeps `assert t, "literal"` in the graph, but neither a message that is worked out nor `not`, `and`, `or`
        and chained comparisons of tensors: Python must look at the value (GB0170, or GB0124 for `.item()`).

    Example:
        assert x.min() >= 0, f"negative values in {name}"

        if torch.compiler.is_compiling():
            torch._assert_async(x.min() >= 0, "AssertionError: negative values in <name>")
        else:
            assert x.min() >= 0, f"negative values in {name}"

    Safety:
        Proven, and eager is unchanged. Compiled code raises RuntimeError; on a GPU it does so at the next point where
        the host waits, and CUDA stays unusable in that process, as after every device-side assertion.
    """

    code, name = "GF211", "assert-on-tensor"
    title = "assert on the device what Python cannot look at"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0170", "GB0124", "GB0033"})

    def rewrite(self, site: Site) -> Rewrite | None:
        check = branch_of(site, ast.Assert)
        if not isinstance(check, ast.Assert):
            return None
        build = Build(site.module, site.node)
        decision = decide(build, check.test)
        if decision is None or any(isinstance(part, ast.NamedExpr) for part in ast.walk(check.test)):
            return None
        message = message_of_assert(check.msg, check.test)
        text = "if {torch}.compiler.is_compiling():\n"
        if decision.plain:
            text += f"    assert {decision.python(build)}\n"
        asked = build.wrapped(f"{{torch}}._assert_async({decision.tensor}, {message})")
        text += "".join(f"    {line}\n" for line in asked.splitlines())
        text += f"else:\n    {build.slot([check])}\n"
        return build.put(site, check, text)

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x, name="x"):
                    # logarithms follow
                    assert x.min() > 0, f"{name} must be positive"
                    return x.log()
            """,
            after="""
                import torch

                def f(x, name="x"):
                    # logarithms follow
                    if torch.compiler.is_compiling():
                        torch._assert_async(x.min() > 0, "AssertionError: <name> must be positive")
                    else:
                        assert x.min() > 0, f"{name} must be positive"
                    return x.log()
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(4), 'y')"),
        ),
        Rewrites(
            before="""
                import torch

                class Net(torch.nn.Module):
                    def forward(self, x, mask):
                        assert x.dim() == 2 and not (mask.all() or mask.sum().item() == 1)
                        assert 0 <= x.mean() <= 1, (
                            "mean of {} out of range".format(x.shape)
                        )
                        return x.masked_fill(mask, 0.0)

                f = Net()
            """,
            after="""
                import torch

                class Net(torch.nn.Module):
                    def forward(self, x, mask):
                        if torch.compiler.is_compiling():
                            assert x.dim() == 2
                            torch._assert_async(
                                ~mask.all() & ~(mask.sum() == 1),
                                "AssertionError: x.dim() == 2 and (not (mask.all() or mask.sum().item() == 1))",
                            )
                        else:
                            assert x.dim() == 2 and not (mask.all() or mask.sum().item() == 1)
                        if torch.compiler.is_compiling():
                            torch._assert_async(
                                (0 <= x.mean()) & (x.mean() <= 1),
                                "AssertionError: mean of <> out of range",
                            )
                        else:
                            assert 0 <= x.mean() <= 1, (
                                "mean of {} out of range".format(x.shape)
                            )
                        return x.masked_fill(mask, 0.0)

                f = Net()
            """,
            calls=("f(torch.ones(2, 3), torch.tensor([True, True, False]))",),
        ),
        Rewrites(
            before="""
                from torch import allclose, Tensor

                def check(total: Tensor):
                    assert (total > 0).all(), "of " + str(total.shape)

                def f(x: Tensor) -> Tensor:
                    weights = x.softmax(-1)
                    check(weights.sum(-1))
                    return weights * 2
            """,
            after="""
                import torch
                from torch import allclose, Tensor

                def check(total: Tensor):
                    if torch.compiler.is_compiling():
                        torch._assert_async((total > 0).all(), "AssertionError: of <str(total.shape)>")
                    else:
                        assert (total > 0).all(), "of " + str(total.shape)

                def f(x: Tensor) -> Tensor:
                    weights = x.softmax(-1)
                    check(weights.sum(-1))
                    return weights * 2
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(2, 4))"),
        ),
        Leaves(
            source="""
                def f(x):
                    assert x.min() > 0, "must be positive"
                    return x * x.sum().item()
            """,
            calls=("f(torch.ones(3))",),
        ),
        Leaves(
            source="""
                def f(x):
                    if x.min() < 0:
                        x = -x
                    return x
            """,
            calls=("f(torch.ones(3))",),
        ),
    )
