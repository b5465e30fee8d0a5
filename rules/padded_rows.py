"""GF416: `pad_sequence` of the beginnings of rows, or of what a mask keeps of each."""

from __future__ import annotations

import ast
import textwrap
from dataclasses import replace

from graphfix.model import Assumption
from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._condition import Build
from ._match import follow_one_another
from ._numbers import statement_of
from ._padded import Padded, padded_at


class PaddedRows(Rule):
    """What it does:
        Fills the ends of all rows at once, where code cuts each row to a length of its own, or to what a mask keeps of
        it, and pads them to the longest again.

    Why it breaks the graph:
        How long each piece is exists only at run time (GB0124, GB0033; GB0036 for a mask). The longest of them may be a
        whole row, whose length is known.

    Example:
        padded = pad_sequence([row[:n] for row, n in zip(hidden, lengths)], batch_first=True)

        if torch.compiler.is_compiling():
            torch._assert_async(
                (lengths.min() >= 0) & (lengths.max() == hidden.shape[1]),
                "graphfix: the longest of lengths is not hidden.shape[1]",
            )
            outside = torch.arange(hidden.shape[1], device=hidden.device) >= lengths[:, None]
        padded = (
            hidden.masked_fill(outside.reshape(hidden.shape[:2] + (1,) * (hidden.dim() - 2)), 0)
            if torch.compiler.is_compiling()
            else pad_sequence([row[:n] for row, n in zip(hidden, lengths)], batch_first=True)
        )

    Safety:
        Eager code does what it did. Offered only where the longest piece is a whole row on every call of the target;
        compiled code asserts that on the device.
    """

    code, name = "GF416", "padded-rows"
    title = "fill the ends of all rows at once"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0124", "GB0033", "GB0036"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        module = site.module
        padded = padded_at(module, site.node) if site.dual else None
        statement = statement_of(module, padded.call) if padded is not None else None
        if padded is None or statement is None:
            return None
        first = padded.made[0] if padded.made else statement
        assumed = Assumption(module.path, first.lineno, _assumed(padded))
        if not follow_one_another(module, [*padded.made, statement]) or not site.may_hold(assumed):
            return None
        block, filled = _compiled(padded, Build(module, padded.call))
        named = {"x": padded.x, "by": padded.by, "value": padded.value, "count": padded.count}
        parts = {name: part for name, part in named.items() if part is not None}
        if padded.made:
            both = f"if {{torch}}.compiler.is_compiling():\n{textwrap.indent(block, '    ')}else:\n    {{made}}"
            prepared = replace(site, dual=False).replace(padded.made, both, made=padded.made, **parts)
        else:
            prepared = site.before(statement, block, **parts)
        both_ways = site.together(prepared, site.replace(padded.call, filled, **parts))
        return None if both_ways is None else replace(both_ways, assumption=assumed)

    cases = (
        Rewrites(
            before="""
                from torch.nn.utils.rnn import pad_sequence

                def f(hidden, lengths):
                    # to the longest
                    padded = pad_sequence([row[:n] for row, n in zip(hidden, lengths)], batch_first=True)
                    return padded * 2
            """,
            after="""
                import torch
                from torch.nn.utils.rnn import pad_sequence

                def f(hidden, lengths):
                    # to the longest
                    if torch.compiler.is_compiling():
                        torch._assert_async(
                            (lengths.min() >= 0) & (lengths.max() == hidden.shape[1]),
                            "graphfix: the longest of lengths is not hidden.shape[1]",
                        )
                        outside = torch.arange(hidden.shape[1], device=hidden.device) >= lengths[:, None]
                    padded = (
                        hidden.masked_fill(outside.reshape(hidden.shape[:2] + (1,) * (hidden.dim() - 2)), 0)
                        if torch.compiler.is_compiling()
                        else pad_sequence([row[:n] for row, n in zip(hidden, lengths)], batch_first=True)
                    )
                    return padded * 2
            """,
            calls=(
                "f(torch.rand(3, 4, 2), torch.tensor([4, 1, 2]))",
                "f(torch.rand(2, 3), torch.tensor([0, 3]))",
            ),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, sizes):
                    pieces = []
                    for i, n in enumerate(sizes.tolist()):
                        pieces.append(x[i, :n])
                    return torch.nn.utils.rnn.pad_sequence(pieces, padding_value=-1.0) + 1
            """,
            after="""
                import torch

                def f(x, sizes):
                    if torch.compiler.is_compiling():
                        torch._assert_async(
                            (sizes.min() >= 0) & (sizes.max() == x.shape[1]),
                            "graphfix: the longest of sizes is not x.shape[1]",
                        )
                        outside = torch.arange(x.shape[1], device=x.device) >= sizes[:, None]
                    else:
                        pieces = []
                        for i, n in enumerate(sizes.tolist()):
                            pieces.append(x[i, :n])
                    return (
                        x.masked_fill(outside.reshape(x.shape[:2] + (1,) * (x.dim() - 2)), -1.0).transpose(0, 1).contiguous()
                        if torch.compiler.is_compiling()
                        else torch.nn.utils.rnn.pad_sequence(pieces, padding_value=-1.0)
                    ) + 1
            """,  # noqa: E501
            calls=("f(torch.rand(3, 4, 2), torch.tensor([4, 1, 2]))",),
        ),
        Rewrites(
            before="""
                import torch
                from torch import nn

                class Unpad(nn.Module):
                    def forward(self, tokens, mask):
                        kept = [tokens[i][mask[i]] for i in range(tokens.size(0))]
                        return nn.utils.rnn.pad_sequence(kept, batch_first=True, padding_value=7)

                f = Unpad()
            """,
            after="""
                import torch
                from torch import nn

                class Unpad(nn.Module):
                    def forward(self, tokens, mask):
                        if torch.compiler.is_compiling():
                            torch._assert_async(mask.all(1).any(), "graphfix: mask keeps no row whole")
                            stays, order = mask.byte().sort(dim=1, descending=True, stable=True)
                            rows = tokens[torch.arange(tokens.shape[0], device=tokens.device)[:, None], order]
                        else:
                            kept = [tokens[i][mask[i]] for i in range(tokens.size(0))]
                        return (
                            rows.masked_fill((stays == 0).reshape(tokens.shape[:2] + (1,) * (tokens.dim() - 2)), 7)
                            if torch.compiler.is_compiling()
                            else nn.utils.rnn.pad_sequence(kept, batch_first=True, padding_value=7)
                        )

                f = Unpad()
            """,
            calls=("f(torch.arange(6).reshape(2, 3), torch.tensor([[False, True, True], [True, True, True]]))",),
        ),
        Leaves(
            source="""
                from torch.nn.utils.rnn import pad_sequence

                def f(x, n):
                    pieces = [row[:k] for row, k in zip(x, n)]
                    return pad_sequence(pieces, batch_first=True), len(pieces)
            """,
            calls=("f(torch.rand(3, 4), torch.tensor([4, 2, 2]))",),
        ),
        Leaves(
            source="""
                from torch.nn.utils.rnn import pad_sequence

                def f(x, n):
                    return pad_sequence([row[k:] for row, k in zip(x, n)], batch_first=True)
            """,
            calls=("f(torch.rand(3, 4), torch.tensor([0, 2, 2]))",),
        ),
    )


def _assumed(padded: Padded) -> str:
    """What must hold on every call, as Python."""
    x, by = ast.unparse(padded.x), ast.unparse(padded.by)
    holds = f"{by}.min() >= 0 and {by}.max() == {x}.shape[1]"
    if padded.masks:
        holds = f'str({by}.dtype) == "torch.bool" and {by}.shape == {x}.shape[:2] and {by}.all(1).any()'
    return f"{holds} and {ast.unparse(padded.count)} == {x}.shape[0]" if padded.count is not None else holds


def _compiled(padded: Padded, build: Build) -> tuple[str, str]:
    """The statements before the call, and the expression in its place."""
    x, by = ast.unparse(padded.x), ast.unparse(padded.by)
    if padded.masks:
        holds, said = ["{by}.all(1).any()"], f"{by} keeps no row whole"
        stays, order, rows = map(build.fresh, ("stays", "order", "rows"))
        places = f"{stays}, {order} = {{by}}.byte().sort(dim=1, descending=True, stable=True)\n"
        places += f"{rows} = {{x}}[{{torch}}.arange({{x}}.shape[0], device={{x}}.device)[:, None], {order}]\n"
        outside = f"({stays} == 0)"
    else:
        holds = ["({by}.min() >= 0)", "({by}.max() == {x}.shape[1])"]
        said = f"the longest of {by} is not {x}.shape[1]"
        rows, outside = "{x}", build.fresh("outside")
        places = f"{outside} = {{torch}}.arange({{x}}.shape[1], device={{x}}.device) >= {{by}}[:, None]\n"
    if padded.count is not None:
        holds.append("({count} == {x}.shape[0])")
    guard = build.wrapped(f'{{torch}}._assert_async({" & ".join(holds)}, "graphfix: {said}")')
    value = "{value}" if padded.value is not None else "0"
    filled = f"{rows}.masked_fill({outside}.reshape({{x}}.shape[:2] + (1,) * ({{x}}.dim() - 2)), {value})"
    return f"{guard}\n{places}", filled if padded.batch_first else f"{filled}.transpose(0, 1).contiguous()"
