"""GF412: `x[mask, :].view(batch, -1, size)[:, -1, :]`: the row of each batch element that a mask marks."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._condition import Build
from ._lengths import statement_of
from ._match import is_pure, is_whole, same


class MarkedRow(Rule):
    """What it does:
        Looks up the last (or the first) row that a mask marks in each element of a batch by its index, instead of
        selecting all marked rows and taking one of each element's.

    Why it breaks the graph:
        How many rows the mask selects is known at run time only (GB0036).

    Example:
        last = hidden[ends, :].view(hidden.size(0), -1, hidden.size(-1))[:, -1, :]

        last = hidden[torch.arange(ends.size(0), device=ends.device), ends.cumsum(1).argmax(1)]

    Safety:
        Proven. The original needs the same number of marks in every element (where the numbers only add up, it takes
        rows of others' without a word); compiled code asserts on the device that it is so, and that there is one.
    """

    code, name = "GF412", "marked-row"
    title = "look up the marked row by its index"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0036"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        found = _selected(site.node)
        if found is None:
            return None
        tensor, mask = found
        above = site.module.parents(site.node)
        view, call, whole = next(above, None), next(above, None), next(above, None)
        if (
            not isinstance(view, ast.Attribute)
            or not isinstance(call, ast.Call)
            or not isinstance(whole, ast.Subscript)
        ):
            return None
        if view.attr not in ("view", "reshape") or not _by_batch(call, tensor, mask):
            return None
        which, statement = _taken(whole), statement_of(site.module, site.node)
        text, of = ast.unparse(mask), ast.unparse(tensor)
        if which is None or statement is None or "{" in text + of:
            return None
        index = f"{text}.cumsum(1).argmax(1)" if which == -1 else f"{text}.long().argmax(1)"
        looked_up = f"{of}[{{torch}}.arange({text}.size(0), device={text}.device), {index}]"
        evenly = f"({text}.sum(1) == {text}.sum(1)[:1]).all() & {text}.any(1).all()"
        said = f"graphfix: {text} does not mark as many rows of each"
        asked = Build(site.module, site.node).wrapped(f'{{torch}}._assert_async({evenly}, "{said}")')
        guard = site.before(statement, asked)
        return site.together(guard, site.replace(whole, looked_up))

    cases = (
        Rewrites(
            before="""
                import torch

                class Pool(torch.nn.Module):
                    def forward(self, ids, hidden):
                        ends = ids.eq(2)
                        # the state at the last end
                        last = hidden[ends, :].view(hidden.size(0), -1, hidden.size(-1))[
                            :, -1, :
                        ]
                        return last.tanh()

                f = Pool()
            """,
            after="""
                import torch

                class Pool(torch.nn.Module):
                    def forward(self, ids, hidden):
                        ends = ids.eq(2)
                        # the state at the last end
                        torch._assert_async(
                            (ends.sum(1) == ends.sum(1)[:1]).all() & ends.any(1).all(),
                            "graphfix: ends does not mark as many rows of each",
                        )
                        last = hidden[torch.arange(ends.size(0), device=ends.device), ends.cumsum(1).argmax(1)]
                        return last.tanh()

                f = Pool()
            """,
            calls=(
                "f(torch.tensor([[5, 2, 7, 2], [2, 2, 1, 4]]), torch.randn(2, 4, 3))",
                "f(torch.tensor([[5, 6, 2]]), torch.randn(1, 3, 4))",
            ),
        ),
        Rewrites(
            before="""
                import torch

                def f(hidden, marks):
                    batch, _, size = hidden.shape
                    return hidden[marks].reshape(batch, -1, size)[:, 0]
            """,
            after="""
                import torch

                def f(hidden, marks):
                    batch, _, size = hidden.shape
                    torch._assert_async(
                        (marks.sum(1) == marks.sum(1)[:1]).all() & marks.any(1).all(),
                        "graphfix: marks does not mark as many rows of each",
                    )
                    return hidden[torch.arange(marks.size(0), device=marks.device), marks.long().argmax(1)]
            """,
            calls=("f(torch.randn(2, 3, 4), torch.tensor([[False, True, True], [True, False, True]]))",),
        ),
        Leaves(
            source="""
                def f(hidden, marks):
                    return hidden[marks].view(hidden.size(0), -1, hidden.size(-1)).mean(1)
            """,
            calls=("f(torch.randn(2, 3, 4), torch.ones(2, 3) > 0)",),
        ),
    )


def _selected(node: ast.AST) -> tuple[ast.expr, ast.expr] | None:
    """The tensor and the mask of `x[m]` or `x[m, :]`, both of them names."""
    if not isinstance(node, ast.Subscript):
        return None
    mask = node.slice
    if isinstance(mask, ast.Tuple) and len(mask.elts) == 2 and is_whole(mask.elts[1]):
        mask = mask.elts[0]
    named = all(isinstance(one, ast.Name | ast.Attribute) and is_pure(one) for one in (node.value, mask))
    return (node.value, mask) if named else None


def _by_batch(call: ast.Call, tensor: ast.expr, mask: ast.expr) -> bool:
    """Whether `view(batch, -1, size)` is asked for."""
    if len(call.args) != 3 or call.keywords or ast.unparse(call.args[1]) != "-1":
        return False
    batch = call.args[0]
    if isinstance(batch, ast.Subscript) and isinstance(batch.value, ast.Attribute) and batch.value.attr == "shape":
        return any(same(batch.value.value, one) for one in (tensor, mask)) and ast.unparse(batch.slice) == "0"
    if isinstance(batch, ast.Call) and isinstance(batch.func, ast.Attribute) and batch.func.attr == "size":
        return any(same(batch.func.value, one) for one in (tensor, mask)) and [*map(ast.unparse, batch.args)] == ["0"]
    return isinstance(batch, ast.Name)


def _taken(whole: ast.Subscript) -> int | None:
    """0 or -1 of `[:, 0, :]` and `[:, -1]`."""
    parts = whole.slice.elts if isinstance(whole.slice, ast.Tuple) else []
    if len(parts) not in (2, 3) or not is_whole(parts[0]) or not all(map(is_whole, parts[2:])):
        return None
    return {"0": 0, "-1": -1}.get(ast.unparse(parts[1]))
