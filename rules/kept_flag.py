"""GF219: `if self.initialized: return` with a flag that is a tensor, set on every call."""

from __future__ import annotations

import ast
from dataclasses import replace

from graphfix.model import Assumption
from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._chain import elifs_above
from ._condition import Build, branch_of
from ._match import dotted


class KeptFlag(Rule):
    """What it does:
        Lets compiled code take the way that a flag in the module has led on every call, and asserts on the device that
        the flag is as it was: what is done once, such as filling a codebook from the first batch, is done in eager
        code.

    Why it breaks the graph:
        The flag is a tensor, so that it is saved with the weights: Python must look at its value (GB0170).

    Example:
        if self.initialized:
            return
        self.codes.copy_(kmeans(x))

        if torch.compiler.is_compiling():
            torch._assert_async((self.initialized != 0).all(), "graphfix: self.initialized has changed")
            return
        if self.initialized:
            return
        self.codes.copy_(kmeans(x))

    Safety:
        Eager code does what it did. Offered only where the flag led one way on every call of the target, and where no
        other rule could join both ways; compiled code raises RuntimeError where it leads the other.
    """

    code, name = "GF219", "kept-flag"
    title = "compile the way that a flag has led, and assert that it still does"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0170"})

    def rewrite(self, site: Site) -> Rewrite | None:
        branch = branch_of(site, ast.If)
        if not isinstance(branch, ast.If) or elifs_above(site.module, branch):
            return None
        test, set_ = branch.test, True
        while isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            test, set_ = test.operand, not set_
        if not isinstance(test, ast.Attribute) or not dotted(test):
            return None
        text = ast.unparse(test)
        for holds in (True, False):
            assumption = Assumption(site.module.path, branch.lineno, f"{'' if holds else 'not '}{text}")
            if site.may_hold(assumption):
                found = _compiled(site, branch, text, holds, branch.body if holds is set_ else branch.orelse)
                return found and replace(found, assumption=assumption)
        return None

    cases = (
        Rewrites(
            before="""
                import torch

                class Codebook(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.register_buffer("initted", torch.tensor(True))
                        self.register_buffer("codes", torch.eye(3))

                    def fill(self, x):
                        if self.initted:
                            return  # once is enough

                        self.codes.copy_(x.unique(dim=0)[:3])
                        self.initted.copy_(torch.tensor(True))

                    def forward(self, x):
                        self.fill(x)
                        return x @ self.codes

                f = Codebook()
            """,
            after="""
                import torch

                class Codebook(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.register_buffer("initted", torch.tensor(True))
                        self.register_buffer("codes", torch.eye(3))

                    def fill(self, x):
                        if torch.compiler.is_compiling():
                            torch._assert_async((self.initted != 0).all(), "graphfix: self.initted has changed")
                            return  # once is enough
                        else:
                            if self.initted:
                                return  # once is enough

                        self.codes.copy_(x.unique(dim=0)[:3])
                        self.initted.copy_(torch.tensor(True))

                    def forward(self, x):
                        self.fill(x)
                        return x @ self.codes

                f = Codebook()
            """,
            calls=("f(torch.ones(2, 3))", "f(torch.ones(4, 3))"),
        ),
        Rewrites(
            before="""
                import torch

                class Scale(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.register_buffer("ready", torch.ones(1))
                        self.loud = []

                    def forward(self, x):
                        if not self.ready:
                            self.loud.append(x.max().item())
                        else:
                            x = x + 1
                        return x * 2

                f = Scale()
            """,
            after="""
                import torch

                class Scale(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.register_buffer("ready", torch.ones(1))
                        self.loud = []

                    def forward(self, x):
                        if torch.compiler.is_compiling():
                            torch._assert_async((self.ready != 0).all(), "graphfix: self.ready has changed")
                            x = x + 1
                        else:
                            if not self.ready:
                                self.loud.append(x.max().item())
                            else:
                                x = x + 1
                        return x * 2

                f = Scale()
            """,
            calls=("f(torch.ones(2, 3))",),
        ),
        Leaves(
            source="""
                def f(x, level):
                    if level:
                        return x
                    return x.nonzero()
            """,
            calls=("f(torch.ones(2), torch.tensor(True))",),
        ),
        Leaves(
            source="""
                import torch

                class Gate(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.register_buffer("ready", torch.ones(1))

                    def forward(self, x):
                        if self.ready > 0:
                            x = x * 2
                        return x

                f = Gate()
            """,
            calls=("f(torch.ones(2))",),
        ),
    )


def _compiled(site: Site, branch: ast.If, flag: str, holds: bool, way: list[ast.stmt]) -> Rewrite | None:
    """The way alone, with the assertion above it, where Dynamo compiles; the branch, where it does not."""
    build = Build(site.module, site.node)
    alike = f"({flag} != 0).all()" if holds else f"({flag} == 0).all()"
    check = build.wrapped(f'{{torch}}._assert_async({alike}, "graphfix: {flag} has changed")')
    lines = [*check.splitlines(), *([build.slot(way)] if way else [])]
    text = "if {torch}.compiler.is_compiling():\n" + "".join(f"    {line}\n" for line in lines)
    return build.put(site, branch, f"{text}else:\n    {build.slot([branch])}\n", branch.test)
