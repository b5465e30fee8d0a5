"""GF102: `x * t.item()`, `x > float(t)`, `x += t.item()`."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._dims import changes_in_place, owner_of
from ._numbers import as_tensors
from ._reads import is_number, number_around, read_at
from ._uses import may_be_tensor, use_of


class ItemInArithmetic(Rule):
    """What it does:
        Computes with the tensor itself where a number is read out of it to compute with a tensor: arithmetic,
        comparisons, `x += t.item()`, an assert.

    Why it breaks the graph:
        `.item()`, `int()`, `float()` and `bool()` ask for a value that exists only at run time, so Dynamo ends the
        graph (GB0124), and on a GPU the host waits for the device.

    Example:
        x = x / x.abs().max().item()

        x = x / x.abs().max().detach()

    Safety:
        Proven. A tensor without dimensions takes part in arithmetic as a number does, as far as the other side is a
        floating tensor with dimensions; with others the dtype may change, which a run must show. `detach()` cuts the
        gradient, as the number did. Where Python would raise (a number divided by zero), an assert on the device does.
        Where eager differs in the last bit, the dual form keeps it.
    """

    code, name = "GF102", "item-in-arithmetic"
    title = "compute with the tensor, not with the number read out of it"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0124", "GB0033"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        read = read_at(site.module, site.node)
        if read is None:
            return None
        whole = number_around(site.module, read.node)
        use = use_of(site.module, whole)
        joins = use in ("in-place", "assert") or not is_number(site.module, whole, (read.node,))
        if not joins or not may_be_tensor(site.module, whole, (read.node,)):
            return None
        if use == "in-place" and _overlaps(site.module, whole, read.tensor):
            return None
        return as_tensors(site, whole)

    cases = (
        Rewrites(
            before="""
                def f(x):
                    return x / x.abs().max().item()
            """,
            after="""
                def f(x):
                    return x / x.abs().max().detach()
            """,
            calls=("f(torch.arange(4.0))", "f(torch.tensor([[-7.0, 3.5]]))"),
        ),
        Rewrites(
            before="""
                import torch

                class Gate(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.register_buffer("limit", torch.tensor([0.5]))
                        self.gain = torch.nn.Parameter(torch.tensor(3.0))

                    def forward(self, hidden, *, bias=0.0):
                        keep = hidden > self.limit.item()  # what is loud
                        hidden = (
                            hidden * float(self.gain)
                            + bias
                        )
                        return hidden * keep

                f = Gate()
            """,
            after="""
                import torch

                class Gate(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.register_buffer("limit", torch.tensor([0.5]))
                        self.gain = torch.nn.Parameter(torch.tensor(3.0))

                    def forward(self, hidden, *, bias=0.0):
                        keep = hidden > self.limit.reshape(())  # what is loud
                        hidden = (
                            hidden * self.gain.detach().reshape(()).float()
                            + bias
                        )
                        return hidden * keep

                f = Gate()
            """,
            calls=("f(torch.arange(4.0))", "f(torch.ones(2, 4), bias=1.0)"),
        ),
        Rewrites(
            before="""
                def f(x, step, lengths):
                    x = x.clone()
                    x += (step == 0).sum().item()
                    x *= int(lengths.max())
                    assert lengths.max().item() <= x.shape[-1]
                    return x
            """,
            after="""
                def f(x, step, lengths):
                    x = x.clone()
                    x += (step == 0).sum()
                    x *= lengths.max().long()
                    assert lengths.max() <= x.shape[-1]
                    return x
            """,
            calls=(
                "f(torch.ones(2, 3), torch.tensor([0, 1]), torch.tensor([1, 3]))",
                "f(torch.ones(2, 4), torch.tensor([0, 0]), torch.tensor([4, 3]))",
            ),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, count):
                    return torch.relu(x) * (1.0 / (count.sum().item() + 1))
            """,
            after="""
                import torch

                def f(x, count):
                    torch._assert_async(count.sum().detach() + 1 != 0, "graphfix: Python refuses this value")
                    return torch.relu(x) * (1.0 / (count.sum().detach() + 1))
            """,
            calls=("f(torch.ones(3), torch.ones(3))", "f(torch.ones(3), torch.zeros(2))"),
        ),
        Leaves(
            source="""
                def f(x, t):
                    if t.item() > 3:
                        return x + 1
                    return x * 2
            """,
            calls=("f(torch.ones(3), torch.tensor(2.0))",),
        ),
        Leaves(
            source="""
                def f(x, t):
                    rows = x.reshape(int(t), -1)
                    return rows * 2, t.item() + 1
            """,
            calls=("f(torch.ones(4), torch.tensor(2))",),
        ),
        Leaves(
            source="""
                def f(x):
                    x = x.clone()
                    x -= x[0].item()
                    return x
            """,
            calls=("f(torch.ones(4))",),
        ),
    )


def _overlaps(module: Module, whole: ast.expr, tensor: ast.expr) -> bool:
    """Whether an in-place operation may change the tensor while it reads it."""
    statement = next((one for one in module.parents(whole) if isinstance(one, ast.AugAssign)), None)
    owner = owner_of(tensor)
    return statement is not None and owner != "" and changes_in_place(statement, owner)
