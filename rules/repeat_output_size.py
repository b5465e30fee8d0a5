"""GF410: `repeat_interleave` by a tensor, without the size of the result."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._lengths import OFFERS, candidates, statement_of, with_count
from ._match import dotted, is_pure
from ._partners import fields, meets, tensors_in


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
        was on every call of the target, first of all with the sizes of what the result is stacked with, added to or
        used beside.
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
        sizes = _sizes(site, call, statement, counts, _dim(call, given))
        for start in range(0, len(sizes), OFFERS):
            offered = iter(sizes[start : start + OFFERS])
            yield from with_count(site, call, "output_size", "None", tensor, offered)

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
        Rewrites(
            before="""
                import dataclasses

                import torch

                @dataclasses.dataclass
                class Packed:
                    sizes: torch.Tensor
                    flat: torch.Tensor

                def starts(packed: Packed):
                    ends = packed.sizes.cumsum(0)
                    first = torch.repeat_interleave(ends - packed.sizes, packed.sizes)
                    return first * 2

                def f(sizes, flat):
                    return starts(Packed(sizes, flat))
            """,
            after="""
                import dataclasses

                import torch

                @dataclasses.dataclass
                class Packed:
                    sizes: torch.Tensor
                    flat: torch.Tensor

                def starts(packed: Packed):
                    ends = packed.sizes.cumsum(0)
                    if torch.compiler.is_compiling():
                        torch._assert_async(packed.sizes.sum() == packed.flat.shape[0], "graphfix: packed.sizes.sum() is not packed.flat.shape[0]")
                    first = torch.repeat_interleave(ends - packed.sizes, packed.sizes, output_size=packed.flat.shape[0] if torch.compiler.is_compiling() else None)
                    return first * 2

                def f(sizes, flat):
                    return starts(Packed(sizes, flat))
            """,  # noqa: E501
            calls=("f(torch.tensor([2, 1, 2]), torch.rand(5))", "f(torch.tensor([4]), torch.rand(4, 2))"),
        ),
        Rewrites(
            before="""
                import torch

                def f(frames, owners, table, n):
                    wide = frames.repeat_interleave(n, dim=1)
                    gates = table[1]
                    return torch.cat((wide.relu(), gates), 0).sum(0) + owners
            """,
            after="""
                import torch

                def f(frames, owners, table, n):
                    if torch.compiler.is_compiling():
                        torch._assert_async(n.sum() == table[1].shape[1], "graphfix: n.sum() is not table[1].shape[1]")
                    wide = frames.repeat_interleave(n, dim=1, output_size=table[1].shape[1] if torch.compiler.is_compiling() else None)
                    gates = table[1]
                    return torch.cat((wide.relu(), gates), 0).sum(0) + owners
            """,  # noqa: E501
            calls=("f(torch.rand(2, 3), torch.rand(1), torch.rand(2, 4, 5), torch.tensor([2, 0, 3]))",),
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


def _sizes(site: Site, call: ast.Call, statement: ast.stmt, counts: ast.expr, dim: str) -> list[tuple[str, str]]:
    """Sizes in the order of how likely they are: of what the result meets, then numbers, then first dimensions (what is
    repeated along its first is longer than before), attributes, and others."""
    module = site.module
    found = candidates(module, statement, statement, counts)
    repeated = {node.id for node in ast.walk(call) if isinstance(node, ast.Name)}
    others = [one for one in found if one[0].partition(".")[0] not in repeated]
    numbers = [one for one in found if one[1]]
    first = [one for one in others if one[0].endswith(".shape[0]")]
    met = [one for other in meets(module, call) for one in tensors_in(module, other, statement)]
    partners = [text for text in _outside(call, met) if text not in dict(numbers)]
    attributes = _outside(call, fields(module, statement))
    return list(
        dict.fromkeys(
            [
                *((f"{text}.shape[{dim}]", "") for text in partners),
                *numbers,
                *first,
                *((f"{text}.shape[{dim}]", "") for text in attributes),
                *((text, f"isinstance({text}, int)") for text in attributes),
                *others,
            ]
        )
    )


def _outside(call: ast.Call, tensors: Iterable[ast.expr]) -> list[str]:
    """The texts of tensors that the call itself does not name."""
    named = {ast.unparse(node) for node in ast.walk(call) if isinstance(node, ast.expr)}
    return [text for text in dict.fromkeys(map(ast.unparse, tensors)) if text not in named]


def _dim(call: ast.Call, given: list[ast.expr]) -> str:
    """The dimension along which the call repeats; the only one of the result, where it names none."""
    named = next((one.value for one in call.keywords if one.arg == "dim"), None)
    node = named if named is not None else given[2] if len(given) > 2 else None
    text = ast.unparse(node) if node is not None else "0"
    return text if re.fullmatch(r"-?\d+", text) else "0"
