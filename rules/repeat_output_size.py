"""GF410: `repeat_interleave` by a tensor, without the size of the result."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._lengths import candidates, statement_of, with_count
from ._match import dotted, is_pure


class RepeatOutputSize(Rule):
    """What it does:
        Tells `repeat_interleave` how long its result is, where Dynamo compiles and a dimension or number that the code
        knows is as large as the counts together.

    Why it breaks the graph:
        The counts are a tensor, so that their sum is known at run time only (GB0036).

    Example:
        spread = pooled.repeat_interleave(counts, dim=0) * tokens

        if torch.compiler.is_compiling():
            torch._assert_async(counts.sum() == tokens.shape[0], "graphfix: counts.sum() is not tokens.shape[0]")
        spread = pooled.repeat_interleave(
            counts, dim=0, output_size=tokens.shape[0] if torch.compiler.is_compiling() else None
        ) * tokens

    Safety:
        Eager code does what it did. Compiled code asserts on the device that the sum is right. Offered only where it
        was on every call of the target.
    """

    code, name = "GF410", "repeat-output-size"
    title = "say how long the repeated tensor is"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0036"})
    dual = True

    def rewrites(self, site: Site) -> Iterator[Rewrite | None]:
        call = site.node
        if not site.dual or not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            return
        if call.func.attr != "repeat_interleave" or any(one.arg == "output_size" for one in call.keywords):
            return
        given = [*call.args] if dotted(call.func.value) == "torch" else [call.func.value, *call.args]
        named = next((one.value for one in call.keywords if one.arg == "repeats"), None)
        counts = given[1] if len(given) > 1 else named if named is not None else given[0] if given else None
        statement = statement_of(site.module, call)
        if counts is None or statement is None or not is_pure(counts):
            return
        text = ast.unparse(counts)
        tensor = f"{text}.sum()" if isinstance(counts, ast.Name | ast.Attribute | ast.Call) else f"({text}).sum()"
        yield from with_count(site, call, "output_size", "None", tensor, iter(_sizes(site, statement, counts)))

    cases = (
        Rewrites(
            before="""
                import torch

                def f(pooled, x, n):
                    return pooled.repeat_interleave(n, dim=0) * x
            """,
            after="""
                import torch

                def f(pooled, x, n):
                    if torch.compiler.is_compiling():
                        torch._assert_async(n.sum() == x.shape[0], "graphfix: n.sum() is not x.shape[0]")
                    return pooled.repeat_interleave(n, dim=0, output_size=x.shape[0] if torch.compiler.is_compiling() else None) * x
            """,  # noqa: E501
            calls=(
                "f(torch.rand(2, 3), torch.rand(5, 3), torch.tensor([2, 3]))",
                "f(torch.rand(3, 3), torch.rand(4, 3), torch.tensor([0, 3, 1]))",
            ),
        ),
        Rewrites(
            before="""
                import torch

                class Spread(torch.nn.Module):
                    def forward(self, states, sizes, total: int):
                        # which row each belongs to
                        rows = torch.repeat_interleave(sizes)
                        return states[rows] + total

                f = Spread()
            """,
            after="""
                import torch

                class Spread(torch.nn.Module):
                    def forward(self, states, sizes, total: int):
                        # which row each belongs to
                        if torch.compiler.is_compiling():
                            torch._assert_async(sizes.sum() == total, "graphfix: sizes.sum() is not total")
                        rows = torch.repeat_interleave(sizes, output_size=total if torch.compiler.is_compiling() else None)
                        return states[rows] + total

                f = Spread()
            """,  # noqa: E501
            calls=(
                "f(torch.rand(2, 3), torch.tensor([2, 3]), 5)",
                "f(torch.rand(3, 3), torch.tensor([1, 3, 3]), 7)",
            ),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, y, n):
                    z = torch.repeat_interleave(
                        x,
                        repeats=n,
                        dim=0,
                    )
                    return z - y
            """,
            after="""
                import torch

                def f(x, y, n):
                    if torch.compiler.is_compiling():
                        torch._assert_async(n.sum() == y.shape[0], "graphfix: n.sum() is not y.shape[0]")
                    z = torch.repeat_interleave(
                        x,
                        repeats=n,
                        dim=0, output_size=y.shape[0] if torch.compiler.is_compiling() else None,
                    )
                    return z - y
            """,
            calls=("f(torch.rand(2), torch.rand(5), torch.tensor([2, 3]))",),
        ),
        Leaves(
            source="""
                import torch

                def f(n):
                    return torch.repeat_interleave(n)
            """,
            calls=("f(torch.tensor([2, 0]))",),
        ),
        Leaves(
            source="""
                import torch

                def f(x, n):
                    return torch.repeat_interleave(x, n, dim=0, output_size=3) + torch.repeat_interleave(x, 2)[:3]
            """,
            calls=("f(torch.ones(2), torch.tensor([2, 1]))",),
        ),
    )


def _sizes(site: Site, statement: ast.stmt, counts: ast.expr) -> list[tuple[str, str]]:
    """Sizes in the order of how likely they are: what is repeated along its first dimension is longer than before."""
    found = candidates(site.module, statement, statement, counts)
    call = site.node
    assert isinstance(call, ast.Call)
    repeated = {node.id for node in ast.walk(call) if isinstance(node, ast.Name)}
    first = [one for one in found if one[0].endswith(".shape[0]") and one[0].partition(".")[0] not in repeated]
    numbers = [one for one in found if one[1]]
    others = [one for one in found if one not in first and one not in numbers]
    return [*numbers, *first, *(one for one in others if one[0].partition(".")[0] not in repeated)]
