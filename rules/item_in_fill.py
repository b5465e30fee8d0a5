"""GF101: `x.fill_(t.item())`."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module
from graphfix.source.tensors import is_tensor


class ItemInFill(Rule):
    """What it does:
        Fills a tensor from a one-element tensor directly, instead of from the Python number read out of it.

    Why it breaks the graph:
        `.item()` asks for a value that exists only at run time, so Dynamo ends the graph (GB0124), and on a GPU the
        host waits for the device.

    Example:
        x.fill_(t.item())
        x.fill_(t.detach().reshape(()))

    Safety:
        Exact. `.item()` only works on one element, which `reshape(())` keeps; `detach()` keeps the gradient cut, as
        the Python number did. `fill_` converts a tensor's dtype as it converts a number's.
    """

    code, name = "GF101", "item-in-fill"
    title = "fill from the tensor, not from its item()"
    safety = Safety.EXACT
    repairs = frozenset({"GB0124"})

    def find(self, module: Module) -> Iterator[Site]:
        for node in module.analysis.calls(("fill_",)):
            if (item := _filled_item(node)) is not None:
                assert isinstance(item.func, ast.Attribute)
                if is_tensor(module, item.func.value):
                    yield Site(module, item)

    def rewrite(self, site: Site) -> Rewrite | None:
        fill = next((one for one in site.module.parents(site.node) if not isinstance(one, ast.keyword)), None)
        if fill is None or (item := _filled_item(fill)) is not site.node:
            return None
        assert item is not None
        assert isinstance(item.func, ast.Attribute)
        return site.replace(item, "{tensor}.detach().reshape(())", tensor=item.func.value)

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x, t):
                    x.fill_(t.item())
                    return x * 2
            """,
            after="""
                import torch

                def f(x, t):
                    x.fill_(t.detach().reshape(()))
                    return x * 2
            """,
            calls=("f(torch.zeros(3), torch.tensor(2.5))", "f(torch.zeros(4, dtype=torch.int64), torch.tensor([7.9]))"),
        ),
        Rewrites(
            before="""
                import torch

                class Scale(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.register_buffer("value", torch.zeros(4))

                    def forward(self, x):
                        self.value.fill_((x.mean() + 1).item())  # the running value
                        return x * self.value

                f = Scale()
            """,
            after="""
                import torch

                class Scale(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.register_buffer("value", torch.zeros(4))

                    def forward(self, x):
                        self.value.fill_((x.mean() + 1).detach().reshape(()))  # the running value
                        return x * self.value

                f = Scale()
            """,
            calls=("f(torch.arange(4.0))", "f(torch.ones(2, 4))"),
        ),
        Rewrites(
            before="""
                def f(x, t):
                    y = x.clone()
                    y[..., 0].fill_(value=t.max().item())
                    return y.data.fill_(
                        t[0].item()  # the first
                    ) + x
            """,
            after="""
                def f(x, t):
                    y = x.clone()
                    y[..., 0].fill_(value=t.max().detach().reshape(()))
                    return y.data.fill_(
                        t[0].detach().reshape(())  # the first
                    ) + x
            """,
            calls=("f(torch.ones(2, 3), torch.tensor([1.0, 3.0]))",),
        ),
        Leaves(
            source="""
                def f(x, t):
                    return x * t.item()
            """,
            calls=("f(torch.ones(3), torch.tensor(2.0))",),
        ),
        Leaves(
            source="""
                import torch

                def f(x, t):
                    return torch.full_like(x, t.item())
            """,
            calls=("f(torch.ones(3), torch.tensor(2.0))",),
        ),
    )


def _filled_item(node: ast.AST) -> ast.Call | None:
    """The `t.item()` of `x.fill_(t.item())`."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "fill_"):
        return None
    given = [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg == "value")]
    if len(given) != 1 or len(node.args) + len(node.keywords) != 1:
        return None
    item = given[0]
    is_item = isinstance(item, ast.Call) and isinstance(item.func, ast.Attribute) and item.func.attr == "item"
    return item if is_item and isinstance(item, ast.Call) and not item.args and not item.keywords else None
