"""GF111: `math.sqrt(t)`."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.values import Kind

from ._numbers import as_tensors
from ._reads import math_function, number_around
from ._uses import may_be_tensor


class MathOnTensor(Rule):
    """What it does:
        Calls the function of torch, where a function of `math` was called on a tensor.

    Why it breaks the graph:
        A function of `math` reads a number out of the tensor, which exists only at run time (GB0033).

    Example:
        x = x / math.sqrt(x.var() + 1)

        x = x / torch.sqrt((x.var() + 1).detach())

    Safety:
        Proven. `math` computes in double precision: where eager differs in the last bit, the dual form keeps it.
        Where `math` raises, because its function has no value there, an assert on the device does.
    """

    code, name = "GF111", "math-on-tensor"
    title = "call torch's function on the tensor"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0033", "GB0059"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        module, node = site.module, site.node
        if not isinstance(node, ast.Call) or math_function(module, node) == "":
            return None
        tensors = tuple(one for one in node.args if module.analysis.value(one).kind in (Kind.TENSOR, Kind.UNKNOWN))
        whole = number_around(module, node)
        if not tensors or not may_be_tensor(module, whole, (node,)):
            return None
        return as_tensors(site, whole, tensors)

    cases = (
        Rewrites(
            before="""
                import math

                def f(x, t):
                    return x * math.floor(t) + math.fabs(t)
            """,
            after="""
                import math

                import torch

                def f(x, t):
                    return x * torch.floor(t.detach().reshape(())).long() + torch.abs(t.detach().reshape(()))
            """,
            calls=("f(torch.ones(3), torch.tensor(2.5))", "f(torch.ones(3), torch.tensor([-2.5]))"),
        ),
        Rewrites(
            before="""
                import torch
                from math import isnan, sqrt

                class Guarded(torch.nn.Module):
                    def forward(self, x: torch.Tensor):
                        bad = isnan(x.sum())
                        width = sqrt(x.max())
                        return x * bad + width

                f = Guarded()
            """,
            after="""
                import torch
                from math import isnan, sqrt

                class Guarded(torch.nn.Module):
                    def forward(self, x: torch.Tensor):
                        bad = torch.isnan(x.sum().detach())
                        torch._assert_async(~(x.max().detach() < 0), "graphfix: Python refuses this value")
                        width = torch.sqrt(x.max().detach())
                        return x * bad + width

                f = Guarded()
            """,
            calls=("f(torch.arange(5.0))", "f(torch.ones(3, 2))"),
        ),
        Rewrites(
            before="""
                import math

                import torch

                def f(x, t):
                    level = 2.0 ** math.ceil(t)
                    return x * level - torch.relu(x)
            """,
            after="""
                import math

                import torch

                def f(x, t):
                    level = 2.0 ** torch.ceil(t.detach().reshape(())).long()
                    return x * level - torch.relu(x)
            """,
            calls=("f(torch.ones(3), torch.tensor(2.5))",),
        ),
        Leaves(
            source="""
                import math

                def f(x, t):
                    return x.reshape(math.ceil(t), -1) * 2
            """,
            calls=("f(torch.ones(4), torch.tensor(1.5))",),
        ),
        Leaves(
            source="""
                import math

                def f(x, t):
                    if math.isnan(t):
                        x = x + 1
                    return x * math.sqrt(4.0)
            """,
            calls=("f(torch.ones(4), torch.tensor(1.5))",),
        ),
    )
