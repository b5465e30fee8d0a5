"""GF107: `x[i.item()]`, `x[:, int(i)]`, `x[i]` with a tensor without dimensions."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import replace

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.values import Kind

from ._numbers import Numbers, guarded, index_text
from ._reads import number_around, parent, read_at


class ItemAsIndex(Rule):
    """What it does:
        Indexes by a tensor of one element and takes its dimension out again, where a number read out of a tensor, or a
        tensor without dimensions, was the index.

    Why it breaks the graph:
        The index is known at run time only, and a view at an unknown place cannot be made while tracing (GB0124,
        GB0219). Looking the row up can.

    Example:
        row = table[i.item()]

        row = table[i.reshape(1)].squeeze(0)

    Safety:
        Proven. The values are the same, negative indices too; an index out of range is an error as before. The result
        is a copy, no view: a run must show that nobody writes through it.
    """

    code, name = "GF107", "item-as-index"
    title = "index by a tensor of one element"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0124", "GB0219", "GB0033"})
    dual = True

    def rewrites(self, site: Site) -> Iterator[Rewrite | None]:
        yield self.rewrite(site)
        statement = site.enclosing(ast.stmt)
        if statement is not None and site.break_ is not None and site.break_.id == "GB0219":  # names no expression
            for node in ast.walk(statement):
                if isinstance(node, ast.Subscript) and node is not site.node and _only_unknown(site, node) is not None:
                    yield self.rewrite(replace(site, node=node))

    def rewrite(self, site: Site) -> Rewrite | None:
        module, node = site.module, site.node
        if isinstance(node, ast.Subscript):
            place, index = node, _only_unknown(site, node)
        else:
            read = read_at(module, node)
            index = number_around(module, read.node) if read is not None else None
            above = parent(module, index) if index is not None else None
            above = parent(module, above) if isinstance(above, ast.Tuple) else above
            if not isinstance(above, ast.Subscript) or index is above.value:
                return None
            place = above
        if index is None or module.analysis.value(place.value).kind not in (Kind.TENSOR, Kind.UNKNOWN):
            return None
        return _looked_up(site, place, index)

    cases = (
        Rewrites(
            before="""
                def f(table, i):
                    row = table[i.item()]
                    return row * 2, table[:, int(i) - 1].sum()
            """,
            after="""
                def f(table, i):
                    row = table[i.reshape(1)].squeeze(0)
                    return row * 2, table[:, (i.reshape(()).long() - 1).reshape(1)].squeeze(1).sum()
            """,
            calls=("f(torch.arange(12.0).reshape(4, 3), torch.tensor(2))", "f(torch.ones(3, 3), torch.tensor([0]))"),
        ),
        Rewrites(
            before="""
                import torch

                class Pick(torch.nn.Module):
                    def forward(self, scores: torch.Tensor, steps: torch.Tensor):
                        last = steps.argmax()
                        return scores[..., last] + scores[0, last, None]

                f = Pick()
            """,
            after="""
                import torch

                class Pick(torch.nn.Module):
                    def forward(self, scores: torch.Tensor, steps: torch.Tensor):
                        last = steps.argmax()
                        return scores[..., last.reshape(1)].squeeze(-1) + scores[0, last.reshape(1), None].squeeze(0)

                f = Pick()
            """,
            calls=("f(torch.arange(12.0).reshape(4, 3), torch.tensor([1, 3, 2]))",),
        ),
        Rewrites(
            before="""
                def f(table, i: int):
                    return table[i] * 2
            """,
            after="""
                def f(table, i: int):
                    return table[i.reshape(1)].squeeze(0) * 2
            """,
            calls=("f(torch.arange(12.0).reshape(4, 3), torch.tensor(2))", "f(torch.ones(3, 3), torch.tensor(0))"),
        ),
        Rewrites(
            before="""
                def f(x, at):
                    x = x.clone()
                    x[at.item()] = 0.0
                    x[:, at.item()] = 1.0  # the column, too
                    x[0, at.item()] = x[1, 1]
                    return x
            """,
            after="""
                def f(x, at):
                    x = x.clone()
                    x[at.reshape(1)] = 0.0
                    x[:, at.reshape(1)] = 1.0  # the column, too
                    x[0, at.reshape(1)] = x[1, 1]
                    return x
            """,
            calls=("f(torch.arange(12.0).reshape(4, 3), torch.tensor(2))", "f(torch.ones(3, 3), torch.tensor([-1]))"),
        ),
        Rewrites(
            before="""
                def f(cache, new, at):
                    cache[:, at.item()] = new  # the newest
                    return cache * 2
            """,
            after="""
                def f(cache, new, at):
                    # the newest
                    cache[:, at.reshape(1)] = new.unsqueeze(1)
                    return cache * 2
            """,
            calls=(
                "f(torch.zeros(2, 3), torch.ones(2), torch.tensor(1))",
                "f(torch.zeros(2, 3, 4), torch.ones(2, 4), torch.tensor([2]))",
            ),
        ),
        Leaves(
            source="""
                def f(x, i):
                    scales = [1.0, 2.0, 3.0]
                    return x * scales[int(i)] + x[: int(i)].sum()
            """,
            calls=("f(torch.ones(3), torch.tensor(2))",),
        ),
    )


def _only_unknown(site: Site, place: ast.Subscript) -> ast.expr | None:
    """The one index that may be a tensor without dimensions."""
    known = (ast.Slice, ast.Constant, ast.List)
    parts = [one for one in _parts(place) if not isinstance(one, known)]
    unknown = [one for one in parts if site.module.analysis.value(one).kind is not Kind.PLAIN]
    if not unknown and len(parts) == 1:  # its annotation is wrong, as the break shows
        unknown = parts
    if len(unknown) != 1 or read_at(site.module, unknown[0], sure=False) is not None:
        return None
    call = unknown[0]
    is_reshaped = isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "reshape"
    return None if is_reshaped else call


def _parts(place: ast.Subscript) -> Sequence[ast.expr]:
    return place.slice.elts if isinstance(place.slice, ast.Tuple) else [place.slice]


def _looked_up(site: Site, place: ast.Subscript, index: ast.expr) -> Rewrite | None:
    parts = _parts(place)
    numbers = Numbers(site.module, (index,) if isinstance(site.node, ast.Subscript) else (site.node,), True)
    read = read_at(site.module, index) if index is site.node else None
    if isinstance(site.node, ast.Subscript) or (read is not None and not read.conversion):
        tensor = index if read is None else read.tensor
        numbers.parts["index"] = tensor
        text = "{index}.reshape(1)"
    else:
        text = numbers.reshaped(index, 1)
    if not isinstance(place.ctx, ast.Load):
        value = getattr(parent(site.module, place), "value", None)
        plain = parts[0] is index or _dim(parts, index) == 0 or isinstance(value, ast.Constant)
        if plain or value is None:
            return guarded(site, numbers, site.replace(index, text, **numbers.parts)) if value else None
    dim = _dim(parts, index)
    if dim is None:
        return None
    given = dict(numbers.parts)
    shown = ", ".join(text if one is index else index_text(one, given) for one in parts)
    if not isinstance(place.ctx, ast.Load):
        statement = parent(site.module, place)
        if not isinstance(statement, ast.Assign) or statement.targets != [place]:
            return None
        stored = f"{{place}}[{shown}] = {{value}}.unsqueeze({dim})\n"
        changed = site.replace(statement, stored, **given, place=place.value, value=statement.value)
        return guarded(site, numbers, changed)
    template = f"{{place}}[{shown}].squeeze({dim})"
    return guarded(site, numbers, site.replace(place, template, **given, place=place.value))


def _dim(parts: Sequence[ast.expr], index: ast.expr) -> int | None:
    """The dimension where the index's own comes out, None where other indices make it unclear."""
    kept = [isinstance(one, ast.Slice) or (isinstance(one, ast.Constant) and one.value in (None, ...)) for one in parts]
    at = next(number for number, one in enumerate(parts) if one is index)
    first = last = at
    while first > 0 and not kept[first - 1]:
        first -= 1
    while last + 1 < len(parts) and not kept[last + 1]:
        last += 1
    if not all(kept[:first]) or not all(kept[last + 1 :]):
        return None
    dots = [isinstance(one, ast.Constant) and one.value is ... for one in parts]
    return -1 - (len(parts) - 1 - last) if any(dots[:first]) else first
