"""GF701: `x[:, i]` with a Python number that varies from call to call."""

from __future__ import annotations

from collections.abc import Iterator

from graphfix.model import RECOMPILED
from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._indices import derived_names, guarded_names, selected


class IndexAmongSlices(Rule):
    """What it does:
        Takes a Python number out of an index of several parts with `select`.

    Why it breaks the graph:
        It does not, but Dynamo compiles the function again for every value of the number: an index that is a tuple is
        fixed when it is traced (seen on torch 2.13: `x[:, i]` is compiled for each `i`). As an argument of `select`,
        the number may vary; it is compiled once more at most.

    Example:
        keys[:, step] = key
        return keys[..., step]

        keys.select(1, step)[...] = key
        return keys.select(-1, step)

    Safety:
        Proven. `select` is what the index does: the same view, negative numbers too.
    """

    code, name = "GF701", "index-among-slices"
    title = "take an index that varies out of a tuple, with `select`"
    safety = Safety.PROVEN
    repairs = frozenset({RECOMPILED})

    def rewrites(self, site: Site) -> Iterator[Rewrite | None]:
        function = site.module.function_of(site.node)
        if function is not None and (names := guarded_names(site)):
            yield selected(site, function, derived_names(function, names))
            yield selected(site, function)  # the guard names what a caller handed over

    cases = (
        Rewrites(
            before="""
                def f(x, i: int):
                    return x[:, i] * 2 + x[0, i:].sum()
            """,
            after="""
                def f(x, i: int):
                    return x.select(1, i) * 2 + x[0, i:].sum()
            """,
            calls=tuple(f"f(torch.arange(36.0).reshape(6, 6), {i})" for i in (2, 3, 4, 5, -2)),
        ),
        Rewrites(
            before="""
                import torch

                class Decoder(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.register_buffer("seen", torch.zeros(2, 8, 3))

                    def forward(self, token: torch.Tensor, *, position: int):
                        at = position + 1
                        seen = self.seen.clone()
                        seen[:, at, 1:] = token  # the newest one
                        return seen[..., at, None, :] + seen[0, at - 1]

                f = Decoder()
            """,
            after="""
                import torch

                class Decoder(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.register_buffer("seen", torch.zeros(2, 8, 3))

                    def forward(self, token: torch.Tensor, *, position: int):
                        at = position + 1
                        seen = self.seen.clone()
                        seen.select(1, at)[:, 1:] = token  # the newest one
                        return seen.select(-2, at)[..., None, :] + seen.select(1, at - 1)[0]

                f = Decoder()
            """,
            calls=tuple(f"f(torch.ones(2, 2), position={i})" for i in (2, 3, 4, 5)),
        ),
        Rewrites(
            before="""
                from typing import Dict

                Named = object

                def put(x, i) -> Dict[str, Named]:
                    x = x.clone()
                    j = i + 1
                    x[i, j] = 1.0
                    x[:, j] += 2
                    return x
            """,
            after="""
                from typing import Dict

                Named = object

                def put(x, i) -> Dict[str, Named]:
                    x = x.clone()
                    j = i + 1
                    x.select(1, j).select(0, i)[...] = 1.0
                    x.select(1, j)[...] += 2
                    return x
            """,
            calls=tuple(f"put(torch.ones(6, 7), {i})" for i in (2, 3, 4, 5)),
        ),
        Leaves(
            source="""
                def f(x, i, sizes):
                    return x[i] + x[2:, 1:i].sum() + sizes[0]
            """,
            calls=(
                "f(torch.ones(6, 6), 2, (1, 2))",
                "f(torch.ones(6, 6), 3, (1, 2))",
                "f(torch.ones(6, 6), 4, (1, 2))",
            ),
        ),
    )
