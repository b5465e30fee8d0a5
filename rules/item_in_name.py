"""GF106: `scale = t.item()`, used in computations later; a helper that returns such a number."""

from __future__ import annotations

import ast
from dataclasses import replace

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._match import dotted, is_for_compiled
from ._numbers import Numbers, aliased, guarded
from ._reads import is_number, math_function, number_around, parent, read_at
from ._uses import may_be_tensor, target_of, use_of


class ItemInName(Rule):
    """What it does:
        Keeps a tensor in a local name, or returns it from a helper, where a number read out of it only goes on into
        computations, stores, calls and messages. Where it is tested as well, the graph breaks at the test instead, and
        the rewrite stays only if another rule repairs that.

    Why it breaks the graph:
        `.item()`, `int()`, `float()` and `bool()` ask for a value that exists only at run time, so Dynamo ends the
        graph (GB0124), and on a GPU the host waits for the device.

    Example:
        scale = 127.0 / x.abs().max().item()
        return (x * scale).round()

        scale = 127.0 / x.abs().max().detach()
        return (x * scale).round()

    Safety:
        Proven. Python computes with numbers of double precision, tensors with their own: where eager differs in the
        last bit, the dual form keeps it. A tensor that changes in place in the same function is copied.
    """

    code, name = "GF106", "item-in-name"
    title = "keep the tensor, not the number read out of it"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0124", "GB0033"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        module = site.module
        read = read_at(module, site.node)
        if read is None:
            return None
        whole = number_around(module, read.node)
        known = (read.node,)
        others = _returned_with(module, whole)  # who takes one of them may need all as tensors
        if not others and use_of(module, whole) not in ("name", "return"):
            return None
        tests: list[ast.expr] = []
        if not is_number(module, whole, known) or not (others or may_be_tensor(module, whole, known, tests=tests)):
            return None
        numbers = Numbers(module, (site.node,))
        template = numbers.template(whole)
        if aliased(site, read):
            template = f"({template}).clone()" if whole is not read.node else f"{template}.clone()"
        templates = {whole: template}
        for other in others:
            if (also := read_at(module, other)) is not None and not aliased(site, also):
                templates[other] = numbers.template(other)
        places = [(old, text, numbers.parts) for old, text in templates.items()]
        found = guarded(site, numbers, site.replace_each(places))
        if converted := _converted_behind(site, whole):
            found = site.together(found, *converted)
        return found and replace(found, onward=tuple(map(module.location, tests)))

    cases = (
        Rewrites(
            before="""
                def f(x):
                    # one scale for all
                    scale = 127.0 * x.abs().max().item()
                    return (x * scale).round(), x - scale
            """,
            after="""
                def f(x):
                    # one scale for all
                    scale = 127.0 * x.abs().max().detach()
                    return (x * scale).round(), x - scale
            """,
            calls=("f(torch.arange(4.0))", "f(torch.tensor([[-7.0, 3.5]]))"),
        ),
        Rewrites(
            before="""
                import torch

                class Normalize(torch.nn.Module):
                    def peak(self, wave: torch.Tensor) -> float:
                        return wave.detach().cpu().abs().amax().item()

                    @torch.no_grad()
                    def forward(self, wave):
                        return wave / self.peak(wave=wave)

                f = Normalize()
            """,
            after="""
                import torch

                class Normalize(torch.nn.Module):
                    def peak(self, wave: torch.Tensor) -> float:
                        return wave.detach().cpu().abs().amax()

                    @torch.no_grad()
                    def forward(self, wave):
                        return wave / self.peak(wave=wave)

                f = Normalize()
            """,
            calls=("f(torch.arange(4.0))", "f(torch.tensor([[-7.0, 3.5]]))"),
        ),
        Rewrites(
            before="""
                def f(x, steps):
                    steps = steps.clone()
                    if (done := int(steps)) is not None:
                        steps += 1
                    return x * done, steps
            """,
            after="""
                def f(x, steps):
                    steps = steps.clone()
                    if (done := steps.reshape(()).long().clone()) is not None:
                        steps += 1
                    return x * done, steps
            """,
            calls=("f(torch.ones(3), torch.tensor(2))", "f(torch.ones(4), torch.tensor([3]))"),
        ),
        Rewrites(
            before="""
                def f(x, low, high):
                    a, b = low.item(), high.item()
                    width = b - a
                    return (x - a) * width
            """,
            after="""
                def f(x, low, high):
                    a, b = low.detach().reshape(()), high.detach().reshape(())
                    width = b - a
                    return (x - a) * width
            """,
            calls=("f(torch.ones(3), torch.tensor(0.5), torch.tensor([2.0]))",),
        ),
        Rewrites(
            before="""
                def limits(x, part: float) -> tuple[float, float]:
                    return x.quantile(part).item(), x.quantile(1 - part).item()

                def f(x, *, part=0.25):
                    low, high = limits(x, part)
                    return (x.clamp(min=low, max=high) - low) / (high - low)
            """,
            after="""
                def limits(x, part: float) -> tuple[float, float]:
                    return x.quantile(part).detach().reshape(()), x.quantile(1 - part).detach().reshape(())

                def f(x, *, part=0.25):
                    low, high = limits(x, part)
                    return (x.clamp(min=low, max=high) - low) / (high - low)
            """,
            calls=("f(torch.arange(5.0))", "f(torch.arange(9.0), part=0.1)"),
        ),
        Rewrites(
            before="""
                import math

                def scale_and_zero(x, steps: int = 255):
                    low = x.min().item()
                    low = min(low, 0.0)
                    scale = -low / steps
                    zero = int(round(-low / scale))
                    return scale * math.sqrt(2.0), zero

                def f(x):
                    scale, zero = scale_and_zero(x)
                    return (x / scale).round() + zero
            """,
            after="""
                import math

                import torch

                def scale_and_zero(x, steps: int = 255):
                    low = x.min().detach()
                    low = min(low, 0.0)
                    scale = -low / steps
                    torch._assert_async(scale.detach().reshape(()) != 0, "graphfix: Python refuses this value")
                    zero = torch.round(-low.detach().reshape(()) / scale.detach().reshape(())).long()
                    return scale * math.sqrt(2.0), zero

                def f(x):
                    scale, zero = scale_and_zero(x)
                    return (x / scale).round() + zero
            """,
            calls=("f(torch.arange(4.0) - 1)", "f(torch.tensor([[-7.0, 3.5]]))"),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, alpha):
                    share = alpha.item()
                    # the first class is the background
                    weights = torch.tensor([1 - share] + [share] * (x.shape[1] - 1)).to(x)
                    return x * weights
            """,
            after="""
                import torch

                def f(x, alpha):
                    share = alpha.detach().reshape(())
                    # the first class is the background
                    weights = torch.tensor([1 - share] + [share] * (x.shape[1] - 1)).to(x)
                    return x * weights
            """,
            calls=("f(torch.ones(2, 3), torch.tensor(0.25))", "f(torch.ones(1, 4), torch.tensor(0.5))"),
        ),
        Leaves(
            source="""
                def f(x, n):
                    count = int(n)
                    return x.repeat(count) * count
            """,
            calls=("f(torch.ones(3), torch.tensor(2))",),
        ),
        Rewrites(  # the graph breaks at the branch now, for other rules to repair
            before="""
                def f(x, n):
                    last = n.item() - 1
                    if last > 3:
                        x = x + 1
                    return x * last
            """,
            after="""
                def f(x, n):
                    last = n.detach().reshape(()) - 1
                    if last > 3:
                        x = x + 1
                    return x * last
            """,
            calls=("f(torch.ones(3), torch.tensor(2))", "f(torch.ones(3), torch.tensor([7]))"),
        ),
    )


def _loads_behind(module: Module, whole: ast.expr) -> list[ast.Name]:
    """Where names are read that get the expression's value, or what is computed from it."""
    loads: list[ast.Name] = []
    names, open_wholes = set[str](), [whole]
    while open_wholes:
        target, function = target_of(module, open_wholes.pop()), module.function_of(whole)
        if isinstance(target, ast.Name) and function is not None and target.id not in names:
            names.add(target.id)
            found = [one for one in ast.walk(function) if isinstance(one, ast.Name) and one.id == target.id]
            loads += [one for one in found if isinstance(one.ctx, ast.Load)]
            open_wholes += [number_around(module, one) for one in found if isinstance(one.ctx, ast.Load)]
    return loads


def _converted_behind(site: Site, whole: ast.expr) -> list[Rewrite | None]:
    """Rewrites of the expressions behind that hand the value to Python's `round` or to `math`: they take no tensor."""
    loads = _loads_behind(site.module, whole)
    found = []
    for one in dict.fromkeys(number_around(site.module, load) for load in loads):
        if is_for_compiled(one):
            continue
        calls = (call for call in ast.walk(one) if isinstance(call, ast.Call))
        taken = (call for call in calls if math_function(site.module, call) or dotted(call.func) == "round")
        if one is not whole and any(load in ast.walk(call) for call in taken for load in loads):
            there, numbers = replace(site, node=one), Numbers(site.module, tuple(loads))
            template = numbers.template(one)
            found.append(guarded(there, numbers, there.replace(one, template, **numbers.parts)))
    return found


def _returned_with(module: Module, node: ast.expr) -> list[ast.expr]:
    """The other values of the tuple that is returned with this one in it."""
    above = parent(module, node)
    in_tuple = isinstance(above, ast.Tuple) and isinstance(parent(module, above), ast.Return)
    return [one for one in above.elts if one is not node] if in_tuple and isinstance(above, ast.Tuple) else []
