"""GF418: `x[places[mask]] = value`: a number stored at the places that a mask picks out of a tensor of places."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._condition import Build
from ._match import block_of, is_atom, is_pure, is_whole
from ._reads import parent
from ._uses import target_of


class PickedPlaces(Rule):
    """What it does:
        Marks the places that a mask picks out of a tensor of places, and fills where they are marked, where Dynamo
        compiles: the usual filter of logits by their sorted probabilities (top-p).

    Why it breaks the graph:
        How many places the mask picks is known at run time only (GB0036). How many there are to mark is not.

    Example:
        remove = order[cumulative > p]
        logits[remove] = -torch.inf

        if torch.compiler.is_compiling():
            picked = torch.zeros(logits.shape[-1], dtype=torch.int64, device=logits.device)
            picked.index_add_(0, order, (cumulative > p).long())
            logits.masked_fill_(picked > 0, -torch.inf)
        else:
            ...

    Safety:
        Proven, and eager is unchanged. The places must not be negative, along the last dimension; a run must show that.
    """

    code, name = "GF418", "picked-places"
    title = "fill where places are marked, without picking them"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0036"})

    def rewrite(self, site: Site) -> Rewrite | None:
        module, read = site.module, site.node
        if not isinstance(read, ast.Subscript) or not is_pure(read):
            return None
        statements, at = _store(module, read)
        store = statements[-1] if statements else None
        target = store.targets[0] if isinstance(store, ast.Assign) else None
        if not isinstance(store, ast.Assign) or not isinstance(target, ast.Subscript) or not is_atom(target.value):
            return None
        before = _before(target, at)
        if before is None or not is_pure(store.value):
            return None
        build = Build(module, read)
        picked, whole = build.fresh("picked"), build.slot(target.value)
        row = whole if all(map(is_whole, before)) else f"{whole}[{', '.join(map(build.slot, before))}]"
        mask = build.slot(read.slice) if is_atom(read.slice) else f"({build.slot(read.slice)})"
        text = (
            f"if {{torch}}.compiler.is_compiling():\n"
            f"    {picked} = {{torch}}.zeros({whole}.shape[-1], dtype={{torch}}.int64, device={whole}.device)\n"
            f"    {picked}.index_add_(0, {build.slot(read.value)}, {mask}.long())\n"
            f"    {row}.masked_fill_({picked} > 0, {build.slot(store.value)})\n"
            f"else:\n"
            f"    {build.slot([*statements])}\n"
        )
        return build.put(site, statements, text)

    cases = (
        Rewrites(
            before="""
                import torch

                def nucleus(logits, top_p: float = 0.7, filter_value=-float("inf")):
                    for row in range(logits.size(0)):
                        ordered, order = torch.sort(logits[row], descending=True)
                        drop = ordered.softmax(-1).cumsum(-1) > top_p
                        drop[1:] = drop[:-1].clone()
                        drop[0] = False
                        # back to the places in the vocabulary
                        remove = order[drop]
                        logits[row, remove] = filter_value
                    return logits

                def f(x):
                    return nucleus(x * 2).softmax(-1)
            """,
            after="""
                import torch

                def nucleus(logits, top_p: float = 0.7, filter_value=-float("inf")):
                    for row in range(logits.size(0)):
                        ordered, order = torch.sort(logits[row], descending=True)
                        drop = ordered.softmax(-1).cumsum(-1) > top_p
                        drop[1:] = drop[:-1].clone()
                        drop[0] = False
                        # back to the places in the vocabulary
                        if torch.compiler.is_compiling():
                            picked = torch.zeros(logits.shape[-1], dtype=torch.int64, device=logits.device)
                            picked.index_add_(0, order, drop.long())
                            logits[row].masked_fill_(picked > 0, filter_value)
                        else:
                            remove = order[drop]
                            logits[row, remove] = filter_value
                    return logits

                def f(x):
                    return nucleus(x * 2).softmax(-1)
            """,
            calls=("f(torch.arange(12.0).reshape(2, 6))", "f(torch.zeros(3, 5))"),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, order, keep):
                    x = x.clone()
                    x[:, order[~keep]] = 0
                    return x + 1
            """,
            after="""
                import torch

                def f(x, order, keep):
                    x = x.clone()
                    if torch.compiler.is_compiling():
                        picked = torch.zeros(x.shape[-1], dtype=torch.int64, device=x.device)
                        picked.index_add_(0, order, (~keep).long())
                        x.masked_fill_(picked > 0, 0)
                    else:
                        x[:, order[~keep]] = 0
                    return x + 1
            """,
            calls=(
                "f(torch.ones(2, 3), torch.tensor([2, 0, 1]), torch.tensor([True, False, False]))",
                "f(torch.ones(1, 4), torch.tensor([3, 3, 0]), torch.tensor([True, False, True]))",
            ),
        ),
        Leaves(
            source="""
                def f(x, order, keep):
                    some = order[keep]
                    x = x.clone()
                    x[some] = 0
                    return x, some.shape[0]
            """,
            calls=("f(torch.ones(3), torch.tensor([2, 0, 1]), torch.tensor([True, False, False]))",),
        ),
    )


def _store(module: Module, read: ast.Subscript) -> tuple[Sequence[ast.stmt], ast.expr]:
    """The store that takes the places, after the statement that alone names them, and where they stand in it."""
    target, function = target_of(module, read), module.function_of(read)
    if not isinstance(target, ast.Name) or function is None:
        statement = next((one for one in module.parents(read) if isinstance(one, ast.stmt)), None)
        return ([statement] if statement is not None else []), read
    names = [one for one in ast.walk(function) if isinstance(one, ast.Name) and one.id == target.id]
    naming = parent(module, target)
    if len(names) != 2 or not isinstance(naming, ast.stmt):
        return [], read
    used = next(one for one in names if one is not target)
    store = next(one for one in module.parents(used) if isinstance(one, ast.stmt))
    block = block_of(next(module.parents(naming)), naming)
    follows = naming in block and block[block.index(naming) + 1 :][:1] == [store]
    return ([naming, store] if follows else []), used


def _before(target: ast.Subscript, at: ast.expr) -> list[ast.expr] | None:
    """The indices before the places, where these are the last one; None where they are not."""
    parts = target.slice.elts if isinstance(target.slice, ast.Tuple) else [target.slice]
    return [*parts[:-1]] if parts[-1] is at else None
