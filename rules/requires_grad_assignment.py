"""GF509: `requires_grad` assigned in compiled code."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site


class RequiresGradAssignment(Rule):
    """What it does:
        Calls `requires_grad_` instead of assigning to `requires_grad`.

    Why it breaks the graph:
        Dynamo does not trace the assignment (GB0206), but knows the method, as long as the tensor is no input that
        becomes one with a gradient, and is not returned (GB0125, GB8985).

    Example:
        y.requires_grad = False
        y.requires_grad_(False)

    Safety:
        Proven. The method does what the assignment does, and fails where it fails.
    """

    code, name = "GF509", "requires-grad-assignment"
    title = "set requires_grad by its method"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0206"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        statement = site.enclosing(ast.stmt)
        if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
            return None
        target = statement.targets[0]
        if not isinstance(target, ast.Attribute) or target.attr != "requires_grad":
            return None
        return site.replace(statement, "{tensor}.requires_grad_({value})\n", tensor=target.value, value=statement.value)

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x):
                    y = x.sin()
                    y.requires_grad = False  # no gradient
                    return y * 2
            """,
            after="""
                import torch

                def f(x):
                    y = x.sin()
                    # no gradient
                    y.requires_grad_(False)
                    return y * 2
            """,
            calls=("f(torch.ones(2, 3))", "f(torch.ones(3, 3))"),
        ),
        Rewrites(
            before="""
                import torch
                from torch import nn

                class Frozen(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.layer = nn.Linear(3, 3)

                    def forward(self, x, *, frozen: bool = True):
                        for parameter in (self.layer.weight, self.layer.bias):
                            parameter.requires_grad = not frozen
                        return self.layer(x).relu()

                f = Frozen()
            """,
            after="""
                import torch
                from torch import nn

                class Frozen(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.layer = nn.Linear(3, 3)

                    def forward(self, x, *, frozen: bool = True):
                        for parameter in (self.layer.weight, self.layer.bias):
                            parameter.requires_grad_(not frozen)
                        return self.layer(x).relu()

                f = Frozen()
            """,
            calls=("f(torch.ones(2, 3))", "f(torch.ones(3, 3))"),
        ),
        Rewrites(
            before="""
                import torch

                def f(x):
                    inner = x.detach()
                    inner.requires_grad = True
                    with torch.no_grad():
                        return inner.cos()
            """,
            after="""
                import torch

                def f(x):
                    inner = x.detach()
                    inner.requires_grad_(True)
                    with torch.no_grad():
                        return inner.cos()
            """,
            calls=("f(torch.ones(2, 3))", "f(torch.ones(3, 3))"),
        ),
        Leaves(
            source="""
                import torch

                class Options:
                    requires_grad = False

                options = Options()

                def f(x):
                    return x * (2 if options.requires_grad else 3)
            """,
            calls=("f(torch.ones(2))",),
        ),
        Leaves(
            source="""
                import torch

                def f(x):
                    return x.requires_grad_() * 2
            """,
            calls=("f(torch.ones(2))",),
        ),
    )
