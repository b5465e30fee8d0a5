"""GF210: `if tensor: raise`."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._chain import as_else, elifs_above
from ._condition import Build, branch_of, negated
from ._guards import message_of


class RaiseOnTensor(Rule):
    """What it does:
        Lets compiled code assert on the device what eager code checks before it raises. Eager code still raises the
        same exception with the same message.

    Why it breaks the graph:
        Whether to raise depends on values in a tensor, so Dynamo ends the graph to look (GB0170, or GB0124 where
        `.item()` reads the value), on every call, for an error that hardly ever comes.

    Example:
        if x.isnan().any():
            raise ValueError("NaN in x")

        if torch.compiler.is_compiling():
            torch._assert_async(~x.isnan().any(), "ValueError: NaN in x")
        elif x.isnan().any():
            raise ValueError("NaN in x")

    Safety:
        Proven, and eager is unchanged. Compiled code raises RuntimeError; on a GPU it does so at the next point where
        the host waits, and CUDA stays unusable in that process, as after every device-side assertion.
    """

    code, name = "GF210", "raise-on-tensor"
    title = "assert on the device instead of raising from Python"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0170", "GB0124", "GB0033"})

    def rewrite(self, site: Site) -> Rewrite | None:
        branch = branch_of(site, ast.If)
        if not isinstance(branch, ast.If) or not isinstance(branch.body[-1], ast.Raise):
            return None
        build = Build(site.module, site.node)
        decision = negated(build, branch.test)
        if decision is None or any(isinstance(part, ast.NamedExpr) for part in ast.walk(branch.test)):
            return None
        check = build.wrapped(f"{{torch}}._assert_async({decision.tensor}, {message_of(branch.body[-1].exc)})")
        text = f"if {{torch}}.compiler.is_compiling():\n{_indented(decision.guard(build, check))}"
        text += f"elif {build.slot(branch.test)}:\n    {build.slot(branch.body)}\n"
        if branch.orelse:  # it runs exactly where nothing was raised
            text += f"{build.slot(branch.orelse)}\n"
        above = elifs_above(site.module, branch)
        return build.put(site, above[0] if above else branch, as_else(build, above, text), branch.test)

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x):
                    y = x * 2
                    if torch.isnan(y).any() or y.max().item() > 1e4:
                        raise ValueError(f"bad values in {tuple(x.shape)}")  # never seen
                    return y + 1
            """,
            after="""
                import torch

                def f(x):
                    y = x * 2
                    if torch.compiler.is_compiling():
                        torch._assert_async(
                            ~torch.isnan(y).any() & ~(y.max().double() > 1e4),
                            "ValueError: bad values in <tuple(x.shape)>",
                        )
                    elif torch.isnan(y).any() or y.max().item() > 1e4:
                        raise ValueError(f"bad values in {tuple(x.shape)}")  # never seen
                    return y + 1
            """,
            calls=("f(torch.ones(3))", "f(-torch.ones(4))"),
        ),
        Rewrites(
            before="""
                import torch
                from torch import nn

                class CheckError(RuntimeError): ...

                class Net(nn.Module):
                    check_values = True

                    def check(self, ids, size):
                        if self.check_values and not (ids < size).all():
                            largest = ids.max()
                            raise CheckError("id %d is too large" % largest)
                        elif size > 100:
                            size = size - 1
                        return ids % size

                    def forward(self, ids: torch.Tensor, size: int = 9) -> torch.Tensor:
                        return self.check(ids, size) * 2

                f = Net()
            """,
            after="""
                import torch
                from torch import nn

                class CheckError(RuntimeError): ...

                class Net(nn.Module):
                    check_values = True

                    def check(self, ids, size):
                        if torch.compiler.is_compiling():
                            if self.check_values:
                                torch._assert_async((ids < size).all(), "CheckError: id %d is too large")
                        elif self.check_values and not (ids < size).all():
                            largest = ids.max()
                            raise CheckError("id %d is too large" % largest)
                        if size > 100:
                            size = size - 1
                        return ids % size

                    def forward(self, ids: torch.Tensor, size: int = 9) -> torch.Tensor:
                        return self.check(ids, size) * 2

                f = Net()
            """,
            calls=("f(torch.arange(4))", "f(torch.arange(5), 200)"),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, kind="sum"):
                    if kind == "sum":
                        y = x.sum()
                    elif x.min() < 0:
                        raise NotImplementedError
                    else:
                        y = x.sqrt().sum()
                    return x / y
            """,
            after="""
                import torch

                def f(x, kind="sum"):
                    if kind == "sum":
                        y = x.sum()
                    else:
                        if torch.compiler.is_compiling():
                            torch._assert_async(~(x.min() < 0), "NotImplementedError")
                        elif x.min() < 0:
                            raise NotImplementedError
                        y = x.sqrt().sum()
                    return x / y
            """,
            calls=("f(torch.ones(3), 'root')", "f(torch.ones(4))"),
        ),
        Leaves(
            source="""
                def f(x):
                    if x.dim() != 1:
                        raise ValueError("one dimension")
                    return x * x.sum().item()
            """,
            calls=("f(torch.ones(3))",),
        ),
        Leaves(
            source="""
                def f(x):
                    if x.sum() > 9:
                        x = x / x.sum()
                    return x + 1
            """,
            calls=("f(torch.ones(3))",),
        ),
    )


def _indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())
