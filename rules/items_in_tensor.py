"""GF109: `torch.tensor([a.item(), b.item()])`."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._numbers import Numbers, guarded
from ._reads import is_number, number_around, parent, read_at

_MAKERS = frozenset({"torch.tensor", "torch.as_tensor", "torch.FloatTensor", "torch.LongTensor"})


class ItemsInTensor(Rule):
    """What it does:
        Stacks tensors, where a new tensor was made of the numbers read out of them.

    Why it breaks the graph:
        `.item()`, `int()`, `float()` and `bool()` ask for a value that exists only at run time, so Dynamo ends the
        graph (GB0124), and on a GPU the host waits for the device.

    Example:
        bounds = torch.tensor([low.item(), high.item()])

        bounds = torch.stack([low.detach(), high.detach()])

    Safety:
        Proven. The values are the same; the dtype is that of the tensors, where Python's numbers gave the default one,
        so that a run must show it to be the same.
    """

    code, name = "GF109", "items-in-tensor"
    title = "stack the tensors, not the numbers read out of them"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0124", "GB0033"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        module = site.module
        read = read_at(module, site.node)
        if read is None:
            return None
        content: ast.expr = number_around(module, read.node)
        above = parent(module, content)
        if isinstance(above, ast.List | ast.Tuple):
            content, above = above, parent(module, above)
        if not isinstance(above, ast.Call) or not _makes(module, above, content):
            return None
        if not isinstance(content, ast.List | ast.Tuple) and not is_number(module, content, (read.node,)):
            return None  # `[1.0] * n` is a list
        numbers = Numbers(module, (site.node,))
        template = self._made(numbers, content)
        given = [f"{one.arg}={{{one.arg}}}" for one in above.keywords]
        if given:
            template = f"{template}.to({', '.join(given)})"
        elif content is not above.args[0] or not isinstance(content, ast.List | ast.Tuple):
            template = f"{template}.clone()"
        parts = {**numbers.parts, **{str(one.arg): one.value for one in above.keywords}}
        return guarded(site, numbers, site.replace(above, template, **parts))

    def _made(self, numbers: Numbers, content: ast.expr) -> str:
        if not isinstance(content, ast.List | ast.Tuple):
            return numbers.template(content) if numbers.is_closed(content) else f"({numbers.template(content)})"
        made = ", ".join(map(numbers.template, content.elts))
        return f"{{torch}}.{'stack' if all(map(numbers.reads, content.elts)) else 'tensor'}([{made}])"

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x):
                    bounds = torch.tensor([x.min().item(), x.max().item()])
                    return x.unsqueeze(-1) - bounds
            """,
            after="""
                import torch

                def f(x):
                    bounds = torch.stack([x.min().detach(), x.max().detach()])
                    return x.unsqueeze(-1) - bounds
            """,
            calls=("f(torch.arange(4.0))", "f(torch.ones(2, 3))"),
        ),
        Rewrites(
            before="""
                import torch as t

                class Meter(t.nn.Module):
                    def forward(self, x, count):
                        top = t.tensor(x.max().item(), dtype=t.float64)
                        both = t.tensor(
                            (0, int(count), int(count) + 1),
                            device=x.device,
                        )
                        return x * top, both

                f = Meter()
            """,
            after="""
                import torch as t

                class Meter(t.nn.Module):
                    def forward(self, x, count):
                        top = x.max().detach().to(dtype=t.float64)
                        both = t.tensor([0, count.reshape(()).long(), count.reshape(()).long() + 1]).to(device=x.device)
                        return x * top, both

                f = Meter()
            """,
            calls=("f(torch.arange(4.0), torch.tensor(3))", "f(torch.ones(2, 3), torch.tensor([5]))"),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, t):
                    return x + torch.as_tensor(t.item() * 2)
            """,
            after="""
                import torch

                def f(x, t):
                    return x + (t.detach().reshape(()) * 2).clone()
            """,
            calls=("f(torch.arange(4.0), torch.tensor(3.0))",),
        ),
        Leaves(
            source="""
                import torch

                def f(x, t):
                    return x + torch.tensor([1.0, 2.0]) * t.item()
            """,
            calls=("f(torch.ones(2), torch.tensor(3.0))",),
        ),
        Leaves(
            source="""
                import torch

                def f(x, n):
                    return x + torch.tensor([1.0] * int(n))
            """,
            calls=("f(torch.ones(2), torch.tensor(2))",),
        ),
    )


def _makes(module: Module, call: ast.Call, content: ast.expr) -> bool:
    """Whether a call makes a tensor of the content, with no arguments but a dtype and a device."""
    known = all(keyword.arg in ("dtype", "device") for keyword in call.keywords)
    return known and call.args == [content] and module.analysis.meaning(call.func) in _MAKERS
