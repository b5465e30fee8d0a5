"""GF105: `x[i] = t.item()`."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._numbers import as_tensors
from ._reads import is_number, number_around, parent, read_at
from ._uses import use_of


class ItemInStore(Rule):
    """What it does:
        Stores a tensor into a part of another one, where a number read out of it was stored.

    Why it breaks the graph:
        `.item()`, `int()`, `float()` and `bool()` ask for a value that exists only at run time, so Dynamo ends the
        graph (GB0124), and on a GPU the host waits for the device.

    Example:
        scores[:, 0] = best.max().item()

        scores[:, 0] = best.max().detach()

    Safety:
        Proven. Storing converts a tensor's dtype as it converts a number's; `detach()` keeps the gradient cut. A run
        must show it, because what is stored into may be a list or a dict.
    """

    code, name = "GF105", "item-in-store"
    title = "store the tensor, not the number read out of it"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0124", "GB0033"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        module = site.module
        read = read_at(module, site.node)
        if read is None:
            return None
        whole = number_around(module, read.node)
        if use_of(module, whole) != "store" or not is_number(module, whole, (read.node,)):
            return None
        statement = parent(module, whole)
        target = statement.targets[0] if isinstance(statement, ast.Assign) else None
        key = target.slice if isinstance(target, ast.Subscript) else None
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            return None  # a dict's
        return as_tensors(site, whole)

    cases = (
        Rewrites(
            before="""
                def f(x, best):
                    scores = x.clone()
                    scores[:, 0] = best.max().item()
                    return scores * 2
            """,
            after="""
                def f(x, best):
                    scores = x.clone()
                    scores[:, 0] = best.max().detach()
                    return scores * 2
            """,
            calls=("f(torch.ones(2, 3), torch.arange(3.0))", "f(torch.ones(3, 3), torch.arange(3))"),
        ),
        Rewrites(
            before="""
                import torch

                class Count(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.register_buffer("seen", torch.zeros(3, dtype=torch.int64))

                    def forward(self, x):
                        for row in range(x.shape[0]):
                            self.seen[row] = int(x[row].sum())  # whole numbers
                        return x + self.seen

                f = Count()
            """,
            after="""
                import torch

                class Count(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.register_buffer("seen", torch.zeros(3, dtype=torch.int64))

                    def forward(self, x):
                        for row in range(x.shape[0]):
                            self.seen[row] = x[row].sum().long()  # whole numbers
                        return x + self.seen

                f = Count()
            """,
            calls=("f(torch.arange(9.0).reshape(3, 3) * 1.3)", "f(torch.ones(2, 3))"),
        ),
        Rewrites(
            before="""
                def f(x, mask, t):
                    x = x.clone()
                    x[mask] = 2 * float(t) + 1
                    return x
            """,
            after="""
                def f(x, mask, t):
                    x = x.clone()
                    x[mask] = 2 * t.detach().reshape(()).float() + 1
                    return x
            """,
            calls=("f(torch.ones(3), torch.arange(3) > 1, torch.tensor(3))",),
        ),
        Leaves(
            source="""
                def f(x, t):
                    found = {}
                    found["best"] = t.item()
                    return x * 2, found
            """,
            calls=("f(torch.ones(3), torch.tensor(3))",),
        ),
        Leaves(
            source="""
                def f(x, i):
                    x = x.clone()
                    x[i.item()] = 0.0
                    return x
            """,
            calls=("f(torch.ones(3), torch.tensor(1))",),
        ),
    )
