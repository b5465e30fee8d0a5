"""GF405: the places where a mask is true, used as an index."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._first_true import first_or_last
from ._masks import gives_tuple, mask_of_places
from ._match import is_boolean
from ._selection import count_of


class IndexOfTrue(Rule):
    """What it does:
        Indexes with the mask itself, instead of with the places where it is true. Where only the first or the last
        place is read, looks that up in the mask.

    Why it breaks the graph:
        `nonzero`, `argwhere` and `where` with a condition alone return as many places as there are (GB0036). A store
        through a mask needs none, and of what a mask reads other rules know the repair.

    Example:
        rows = (x > 0).nonzero(as_tuple=True)[0]
        x[rows] = 0.0
        end = torch.where(eos)[0][0]

        rows = x > 0
        x[rows] = 0.0
        if torch.compiler.is_compiling():
            torch._assert_async(
                eos.any() & (eos.dim() == 1), "graphfix: eos is true nowhere, or not of one dimension"
            )
        end = eos.long().argmax() if torch.compiler.is_compiling() else torch.where(eos)[0][0]

    Safety:
        Proven. A mask selects the same elements in the same order. Offered only where the places are used as an index
        or counted, and for nothing else; where the graph breaks there instead, only if another rule repairs that.
        For a first or last place, eager code does what it did (an IndexError, where there is none), and compiled code
        asserts on the device that there is one.
    """

    code, name = "GF405", "index-of-true"
    title = "index with the mask itself, or look up its first place"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0036"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        return first_or_last(site) if site.dual else _as_index(site)

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x):
                    x = x.clone()
                    rows = (x > 0).nonzero(as_tuple=True)[0]
                    x[rows] = 0.0
                    return x - 1
            """,
            after="""
                import torch

                def f(x):
                    x = x.clone()
                    rows = x > 0
                    x[rows] = 0.0
                    return x - 1
            """,
            calls=("f(torch.tensor([1.0, -2.0, 3.0]))", "f(-torch.ones(4))"),
        ),
        Rewrites(
            before="""
                import torch

                class Fill(torch.nn.Module):
                    def forward(self, ids: torch.Tensor, values):
                        out = values.clone()
                        # both at once
                        row, column = torch.where(ids == 3)
                        out[row, column] = -1.0
                        return out.sum(0)

                f = Fill()
            """,
            after="""
                import torch

                class Fill(torch.nn.Module):
                    def forward(self, ids: torch.Tensor, values):
                        out = values.clone()
                        # both at once
                        row = ids == 3
                        out[row] = -1.0
                        return out.sum(0)

                f = Fill()
            """,
            calls=("f(torch.arange(6).view(2, 3), torch.ones(2, 3))", "f(torch.ones(2, 3), torch.ones(2, 3))"),
        ),
        Rewrites(
            before="""
                import torch

                def f(flags, x):
                    picked = torch.nonzero(flags).squeeze(1)
                    y = x * 2
                    y[picked] = 5
                    return y
            """,
            after="""
                import torch

                def f(flags, x):
                    picked = flags != 0
                    y = x * 2
                    y[picked] = 5
                    return y
            """,
            calls=("f(torch.tensor([1, 0, 2]), torch.ones(3, 2))", "f(torch.zeros(2), torch.ones(2, 2))"),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, keep):
                    places = torch.nonzero(keep > 0).squeeze(1)
                    y = x.clone()
                    y[places] = 1.0  # what counts
                    return y.sum() / max(places.numel(), 1)
            """,
            after="""
                import torch

                def f(x, keep):
                    places = keep > 0
                    y = x.clone()
                    y[places] = 1.0  # what counts
                    return y.sum() / max(places.sum(), 1)
            """,
            calls=("f(torch.zeros(3, 2), torch.tensor([0, 1, 1]))", "f(torch.ones(2), torch.tensor([0, 0]))"),
        ),
        Rewrites(
            before="""
                import torch

                def f(signal, level):
                    above = torch.where(signal > level)[0]
                    # from the first to the last
                    width = above[-1] - above[0]
                    return signal * width + above[0]
            """,
            after="""
                import torch

                def f(signal, level):
                    if torch.compiler.is_compiling():
                        above = signal > level
                        torch._assert_async(
                            above.any() & (above.dim() == 1),
                            "graphfix: above is true nowhere, or not of one dimension",
                        )
                        above = torch.stack((above.long().argmax(), above.cumsum(0).argmax()))
                    else:
                        above = torch.where(signal > level)[0]
                    # from the first to the last
                    width = above[-1] - above[0]
                    return signal * width + above[0]
            """,
            calls=("f(torch.tensor([0.0, 2.0, 1.0, 3.0]), 0.5)", "f(torch.tensor([5.0]), 1.0)"),
        ),
        Rewrites(
            before="""
                import torch

                class Starts(torch.nn.Module):
                    def forward(self, values, doc_ids, late: bool):
                        out = []
                        for ids, value in zip(doc_ids, values):
                            (marked,) = ids.nonzero(as_tuple=True)
                            value = value - marked[-1]
                            out.append(value + marked.max() if late else value)
                        return torch.stack(out)

                f = Starts()
            """,
            after="""
                import torch

                class Starts(torch.nn.Module):
                    def forward(self, values, doc_ids, late: bool):
                        out = []
                        for ids, value in zip(doc_ids, values):
                            if torch.compiler.is_compiling():
                                marked = ids != 0
                                torch._assert_async(
                                    marked.any() & (marked.dim() == 1),
                                    "graphfix: marked is true nowhere, or not of one dimension",
                                )
                                marked = marked.cumsum(0).argmax()[None]
                            else:
                                (marked,) = ids.nonzero(as_tuple=True)
                            value = value - marked[-1]
                            out.append(value + marked.max() if late else value)
                        return torch.stack(out)

                f = Starts()
            """,
            calls=(
                "f(torch.rand(2, 3), torch.tensor([[0, 7, 4], [7, 0, 0]]), False)",
                "f(torch.rand(1, 4), torch.tensor([[1, 0, 7, 0]]), True)",
            ),
        ),
        Rewrites(
            before="""
                import torch

                def f(logits, ids):
                    return logits - torch.nonzero(ids == 7)[0, 0]
            """,
            after="""
                import torch

                def f(logits, ids):
                    if torch.compiler.is_compiling():
                        torch._assert_async(
                            (ids == 7).any() & ((ids == 7).dim() == 1),
                            "graphfix: ids == 7 is true nowhere, or not of one dimension",
                        )
                    return logits - ((ids == 7).long().argmax() if torch.compiler.is_compiling() else torch.nonzero(ids == 7)[0, 0])
            """,  # noqa: E501
            calls=("f(torch.rand(2), torch.tensor([0, 7, 4, 7]))", "f(torch.rand(2), torch.tensor([7]))"),
        ),
        Leaves(
            source="""
                def f(x):
                    x = x.clone()
                    rows = (x > 0).nonzero(as_tuple=True)[0]
                    x[rows] = 0.0
                    return x, rows
            """,
            calls=("f(torch.ones(3))",),
        ),
        Leaves(
            source="""
                import torch

                def f(x, y):
                    row, column = torch.where(x > 0)
                    return y[row] + y[column]
            """,
            calls=("f(torch.ones(2, 2), torch.ones(2))",),
        ),
        Leaves(
            source="""
                def f(x, y):
                    hits = (x > 0).nonzero(as_tuple=True)[0]
                    return y + hits[0] if y is not None else hits[0] * 2
            """,
            calls=("f(torch.ones(3), torch.ones(2))",),
        ),
        Leaves(
            source="""
                def f(x, y):
                    hits = (x > 0).nonzero()[:, 0]
                    return y + hits[0] * hits.shape[0]
            """,
            calls=("f(torch.ones(3), torch.ones(2))",),
        ),
    )


def _as_index(site: Site) -> Rewrite | None:
    """The mask in place of a name for its places that is used as an index and for nothing else."""
    statement, function = site.enclosing(ast.Assign), site.module.function_of(site.node)
    if statement is None or function is None or len(statement.targets) != 1:
        return None
    target = statement.targets[0]
    names = _names(target)
    mask = _mask(statement.value, unpacked=isinstance(target, ast.Tuple | ast.List))
    if not names or mask is None or site.node not in set(ast.walk(statement.value)):
        return None
    every = [node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id in names]
    if sum(not isinstance(node.ctx, ast.Load) for node in every) != len(names):
        return None
    loads = [node for node in every if isinstance(node.ctx, ast.Load)]
    indexed = [node for node in ast.walk(function) if isinstance(node, ast.Subscript) and _by(node, names)]
    counted = list(filter(None, (count_of(site.module, node) for node in loads)))
    if not indexed or len(loads) != len(indexed) * len(names) + len(counted):
        return None
    value = "{mask}" if is_boolean(site.module, mask) else "{mask} != 0"
    changed = [site.replace(statement, f"{names[0]} = {value}\n", mask=mask)]
    if len(names) > 1:
        changed += [site.replace(node, f"{{of}}[{names[0]}]", of=node.value) for node in indexed]
    if counted:
        changed.append(site.replace_each([(node, f"{names[0]}.sum()", {}) for node in counted]))
    found = site.together(*changed)
    return found and replace(found, onward=tuple(map(site.module.location, [*indexed, *counted])))


_FLAT = frozenset({"flatten", "squeeze", "view", "reshape"})


def _names(target: ast.expr) -> list[str]:
    parts = target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
    return [part.id for part in parts if isinstance(part, ast.Name)] if len(parts) == len(_plain(parts)) else []


def _plain(parts: Sequence[ast.expr]) -> list[ast.Name]:
    return [part for part in parts if isinstance(part, ast.Name)]


def _by(node: ast.Subscript, names: Sequence[str]) -> bool:
    """Whether a subscript has these names, in their order, and nothing else."""
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    return [part.id if isinstance(part, ast.Name) else "" for part in parts] == list(names)


def _mask(node: ast.expr, unpacked: bool) -> ast.expr | None:
    """The mask whose true places an expression gives as an index of its own; `unpacked`: one for each dimension."""
    first = isinstance(node, ast.Subscript) and ast.unparse(node.slice) in ("0", "(:, 0)", ":, 0")
    flat = False
    if isinstance(node, ast.Subscript) and first:
        node = node.value
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _FLAT:
        node, flat = node.func.value, True
    mask = mask_of_places(node)
    if mask is None or not isinstance(node, ast.Call):
        return None
    return mask if unpacked or first or flat or gives_tuple(node) else None
