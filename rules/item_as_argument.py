"""GF104: `x.clamp(max=t.item())`, `torch.where(m, x, t.item())`, `helper(x, float(t))`."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._match import dotted
from ._numbers import Numbers, as_tensors, guarded
from ._reads import is_number, number_around, parent, read_at
from ._uses import use_of

_CLAMPS = frozenset({"clamp", "clip", "clamp_", "clip_"})


class ItemAsArgument(Rule):
    """What it does:
        Hands a tensor to a function that was given a number read out of it, where the function takes tensors as well:
        `clamp`, `masked_fill`, `where`, `add_`, a function of the project. A `clamp` whose other bound is a number
        becomes two.

    Why it breaks the graph:
        `.item()`, `int()`, `float()` and `bool()` ask for a value that exists only at run time, so Dynamo ends the
        graph (GB0124), and on a GPU the host waits for the device.

    Example:
        x = x.masked_fill(mask, x.min().item())

        x = x.masked_fill(mask, x.min().detach())

    Safety:
        Proven. A run must show that the function takes a tensor and computes the same.
    """

    code, name = "GF104", "item-as-argument"
    title = "hand over the tensor, not the number read out of it"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0124", "GB0033"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        module = site.module
        read = read_at(module, site.node)
        if read is None:
            return None
        whole = number_around(module, read.node)
        if use_of(module, whole) != "argument" or not is_number(module, whole, (read.node,)):
            return None
        call = parent(module, whole)
        call = parent(module, call) if isinstance(call, ast.keyword) else call
        assert isinstance(call, ast.Call)
        name = call.func.attr if isinstance(call.func, ast.Attribute) else dotted(call.func)
        if name == "fill_" and whole is read.node and not read.conversion:
            return None  # GF101's
        bounds = _two_bounds(module, call) if name in _CLAMPS else None
        return _as_two(site, call, bounds) if bounds is not None else as_tensors(site, whole)

    cases = (
        Rewrites(
            before="""
                def f(x, mask, limit):
                    x = x.masked_fill(mask, x.min().item())
                    return x.clamp(max=limit.item())
            """,
            after="""
                def f(x, mask, limit):
                    x = x.masked_fill(mask, x.min().detach())
                    return x.clamp(max=limit.detach().reshape(()))
            """,
            calls=("f(torch.arange(3.0), torch.arange(3) > 1, torch.tensor(1.5))",),
        ),
        Rewrites(
            before="""
                import torch

                class Limit(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.top = torch.nn.Parameter(torch.tensor([2.0]))

                    def forward(self, x):
                        y = torch.clamp(x, 0.0, float(self.top))
                        return torch.where(x > 1, y, x.mean().item())

                f = Limit()
            """,
            after="""
                import torch

                class Limit(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.top = torch.nn.Parameter(torch.tensor([2.0]))

                    def forward(self, x):
                        y = torch.clamp(x, min=0.0).clamp(max=self.top.detach().reshape(()).float())
                        return torch.where(x > 1, y, x.mean().detach())

                f = Limit()
            """,
            calls=("f(torch.arange(-1.0, 5.0))", "f(torch.ones(2, 2))"),
        ),
        Rewrites(
            before="""
                def shifted(x, *, by: float):
                    return x + by * 2

                def f(x, t):
                    return shifted(
                        x,
                        by=t.sum().item(),  # all of it
                    )
            """,
            after="""
                def shifted(x, *, by: float):
                    return x + by * 2

                def f(x, t):
                    return shifted(
                        x,
                        by=t.sum().detach(),  # all of it
                    )
            """,
            calls=("f(torch.ones(3), torch.ones(2))", "f(torch.ones(3, 2), torch.ones(2, 2))"),
        ),
        Leaves(
            source="""
                import torch

                def f(x, n):
                    return torch.zeros(int(n)) + x.repeat_interleave(n.item()).sum()
            """,
            calls=("f(torch.ones(3), torch.tensor(2))",),
        ),
        Leaves(
            source="""
                def f(x, t):
                    return x * t.item()
            """,
            calls=("f(torch.ones(3), torch.tensor(2))",),
        ),
    )


_Bounds = tuple[list[ast.expr], ast.expr, ast.expr]


def _two_bounds(module: Module, call: ast.Call) -> _Bounds | None:
    """The tensors before the bounds, and the lower and upper bound, of a clamp that has both."""
    if any(isinstance(one, ast.Starred) for one in call.args) or not isinstance(call.func, ast.Attribute):
        return None
    is_function = (module.analysis.meaning(call.func) or dotted(call.func)).rpartition(".")[0] == "torch"
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    if not set(named) <= {"min", "max"}:
        return None
    first, rest = (call.args[:1], call.args[1:]) if is_function else ([], call.args)
    low = rest[0] if rest else named.get("min")
    high = rest[1] if len(rest) > 1 else named.get("max")
    none = (one for one in (low, high) if isinstance(one, ast.Constant) and one.value is None)
    return None if low is None or high is None or next(none, None) is not None else (first, low, high)


def _as_two(site: Site, call: ast.Call, bounds: _Bounds) -> Rewrite | None:
    first, low, high = bounds
    numbers = Numbers(site.module, (site.node,))
    lower, upper = numbers.template(low), numbers.template(high)
    assert isinstance(call.func, ast.Attribute)
    parts = {**numbers.parts, "owner": call.func.value} | ({"first": first[0]} if first else {})
    name, given = call.func.attr, "{first}, " if first else ""
    template = f"{{owner}}.{name}({given}min={lower}).{name}(max={upper})"
    return guarded(site, numbers, site.replace(call, template, **parts))
