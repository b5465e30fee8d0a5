"""GF103: `torch.full_like(x, t.item())`."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._match import dotted
from ._numbers import Numbers, guarded
from ._reads import number_around, parent, read_at

_EMPTY = {"full": "empty", "full_like": "empty_like", "new_full": "new_empty"}


class ItemInFull(Rule):
    """What it does:
        Fills a new tensor from a tensor, where `full`, `full_like` and `new_full` got a number read out of it.

    Why it breaks the graph:
        `.item()` asks for a value that exists only at run time, so Dynamo ends the graph (GB0124). `full_like` and
        `new_full` read a tensor that is handed to them themselves (GB0033).

    Example:
        y = torch.full_like(x, t.item())

        y = torch.empty_like(x).fill_(t.detach().reshape(()))

    Safety:
        Proven. `fill_` converts as `full` does; the dtype of `torch.full` without `dtype=` follows the tensor
        then, not Python's number, so that a run must show it to be the same.
    """

    code, name = "GF103", "item-in-full"
    title = "fill the new tensor from a tensor"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0124", "GB0033"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        module, node = site.module, site.node
        if read_at(module, node) is not None:
            assert isinstance(node, ast.Call)
            value: ast.expr = number_around(module, node)
            call = parent(module, value)
            call = parent(module, call) if isinstance(call, ast.keyword) else call
        else:
            call, value = node, node  # type: ignore[assignment]
        if not isinstance(call, ast.Call) or (found := _full(module, call)) is None:
            return None
        name, others, filled = found
        if value is not node and filled is not value:
            return None
        numbers = Numbers(module, (node,) if value is not call else (filled,))
        value_text = numbers.template(filled)
        parts = dict(numbers.parts)
        given = []
        for number, one in enumerate(others):
            slot = f"given{number}"
            parts[slot] = one.value if isinstance(one, ast.keyword) else one
            given.append(f"{one.arg}={{{slot}}}" if isinstance(one, ast.keyword) else f"{{{slot}}}")
        if name == "full" and not any(isinstance(one, ast.keyword) and one.arg == "dtype" for one in others):
            given.append(f"dtype={numbers.dtype(filled)}")
        assert isinstance(call.func, ast.Attribute)
        parts["owner"] = call.func.value
        template = f"{{owner}}.{_EMPTY[name]}({', '.join(given)}).fill_({value_text})"
        return guarded(site, numbers, site.replace(call, template, **parts))

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x, t):
                    return torch.full_like(x, t.item()) + x
            """,
            after="""
                import torch

                def f(x, t):
                    return torch.empty_like(x).fill_(t.detach().reshape(())) + x
            """,
            calls=("f(torch.ones(3), torch.tensor(2.5))", "f(torch.ones(4, dtype=torch.int64), torch.tensor([7.0]))"),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, lengths):
                    ends = torch.full((x.shape[0], 1), fill_value=int(lengths.max()), dtype=torch.long, device=x.device)
                    return x * ends
            """,
            after="""
                import torch

                def f(x, lengths):
                    ends = torch.empty((x.shape[0], 1), dtype=torch.long, device=x.device).fill_(lengths.max().long())
                    return x * ends
            """,
            calls=("f(torch.ones(3, 2), torch.tensor([2, 3]))", "f(torch.ones(2, 4), torch.tensor([7]))"),
        ),
        Rewrites(
            before="""
                def f(x, t):
                    return x + x.new_full((2,), t)
            """,
            after="""
                def f(x, t):
                    return x + x.new_empty((2,)).fill_(t.detach().reshape(()))
            """,
            calls=("f(torch.ones(3, 2), torch.tensor(2.5))",),
        ),
        Rewrites(
            before="""
                import torch

                class Floor(torch.nn.Module):
                    def forward(self, scores: torch.Tensor) -> torch.Tensor:
                        low = scores.min()
                        floor = torch.full(
                            scores.shape[-1:], low.item() - 1
                        )
                        return torch.maximum(scores, floor)

                f = Floor()
            """,
            after="""
                import torch

                class Floor(torch.nn.Module):
                    def forward(self, scores: torch.Tensor) -> torch.Tensor:
                        low = scores.min()
                        floor = torch.empty(scores.shape[-1:], dtype=(low.detach() - 1).dtype).fill_(low.detach() - 1)
                        return torch.maximum(scores, floor)

                f = Floor()
            """,
            calls=("f(torch.ones(3, 2))", "f(torch.arange(4.0))"),
        ),
        Leaves(
            source="""
                import torch

                def f(x, n):
                    return torch.full((int(n),), 1.0) * 2
            """,
            calls=("f(torch.ones(3), torch.tensor(2))",),
        ),
        Leaves(
            source="""
                import torch

                def f(x, t):
                    return torch.full_like(x, 3) * t.item()
            """,
            calls=("f(torch.ones(3), torch.tensor(2))",),
        ),
    )


def _full(module: Module, call: ast.Call) -> tuple[str, list[ast.expr | ast.keyword], ast.expr] | None:
    """The function, its other arguments, and the value to fill in, of a call that makes a full tensor."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in _EMPTY:
        return None
    name = call.func.attr
    if name != "new_full" and (module.analysis.meaning(call.func) or dotted(call.func)) != f"torch.{name}":
        return None
    given: list[ast.expr | ast.keyword] = [*call.args, *call.keywords]
    if any(isinstance(one, ast.Starred) or (isinstance(one, ast.keyword) and one.arg in _REFUSED) for one in given):
        return None
    named = [one for one in call.keywords if one.arg == "fill_value"]
    value: ast.expr | ast.keyword | None = named[0] if named else call.args[1] if len(call.args) > 1 else None
    if value is None:
        return None
    others = [one for one in given if one is not value]
    return name, others, value.value if isinstance(value, ast.keyword) else value


_REFUSED = frozenset({None, "out", "requires_grad"})
