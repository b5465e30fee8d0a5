"""GF104: `x.clamp(max=t.item())`, `torch.where(m, x, t.item())`, `helper(x, float(t))`."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._clamps import Bounds, as_two, two_bounds
from ._match import dotted, is_atom
from ._numbers import Numbers, as_tensors, guarded
from ._reads import is_number, number_around, parent, read_at
from ._uses import use_of

_SCALE = frozenset({"add", "sub", "subtract", "add_", "sub_", "subtract_"})


class ItemAsArgument(Rule):
    """What it does:
        Hands a tensor to a function that was given a number read out of it, where the function takes tensors as well:
        `clamp`, `masked_fill`, `where`, `add_`, a function of the project. A `clamp` whose other bound is a number
        becomes two; of `add` and `sub`, which take `alpha` as a number only, the second tensor is multiplied by it.

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
        above = parent(module, whole)
        if isinstance(above, ast.keyword) and above.arg == "alpha":
            return _scaled(site, above)
        if use_of(module, whole) != "argument" or not is_number(module, whole, (read.node,)):
            return None
        call = parent(module, whole)
        call = parent(module, call) if isinstance(call, ast.keyword) else call
        assert isinstance(call, ast.Call)
        name = call.func.attr if isinstance(call.func, ast.Attribute) else dotted(call.func)
        if name == "fill_" and whole is read.node and not read.conversion:
            return None  # GF101's
        bounds = two_bounds(module, call)
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
        Rewrites(
            before="""
                import torch

                def f(x, noise, rate):
                    y = torch.add(x, noise - 1, alpha=rate.item())
                    return y.sub(noise, alpha=2.0 * rate.item())
            """,
            after="""
                import torch

                def f(x, noise, rate):
                    y = (
                        torch.add(x, (noise - 1) * rate.detach().reshape(()))
                        if torch.compiler.is_compiling()
                        else torch.add(x, noise - 1, alpha=rate.item())
                    )
                    return (
                        y.sub(noise * (2.0 * rate.detach().reshape(())))
                        if torch.compiler.is_compiling()
                        else y.sub(noise, alpha=2.0 * rate.item())
                    )
            """,
            calls=("f(torch.rand(3), torch.rand(3), torch.tensor(0.3))",),
        ),
        Leaves(
            source="""
                import torch

                def f(x, y, t):
                    return torch.add(x, y, alpha=int(t), out=torch.empty(3)) + torch.addmm(x, y, y, alpha=t.item())
            """,
            calls=("f(torch.ones(3, 3), torch.ones(3, 3), torch.tensor(2))",),
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


def _as_two(site: Site, call: ast.Call, bounds: Bounds) -> Rewrite | None:
    first, low, high = bounds
    numbers = Numbers(site.module, (site.node,))
    lower, upper = numbers.template(low), numbers.template(high)
    template, parts = as_two(call, first, lower, upper)
    return guarded(site, numbers, site.replace(call, template, **numbers.parts, **parts))


def _scaled(site: Site, alpha: ast.keyword) -> Rewrite | None:
    """`torch.add(x, y * t)` for `torch.add(x, y, alpha=t.item())`; the last bit may differ, so eager keeps the call."""
    call = parent(site.module, alpha)
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.keywords != [alpha]:
        return None
    of_torch = site.module.analysis.meaning(call.func).startswith("torch.")
    if not site.dual or call.func.attr not in _SCALE or len(call.args) != 1 + of_torch:
        return None
    numbers = Numbers(site.module, (site.node,))
    first = "{first}, " if of_torch else ""
    scale = numbers.template(alpha.value)
    template = f"{{called}}({first}{{second}} * {scale if is_atom(alpha.value) else f'({scale})'})"
    parts = {"called": call.func, "second": call.args[-1]} | ({"first": call.args[0]} if of_torch else {})
    return guarded(site, numbers, site.replace(call, template, **numbers.parts, **parts))
