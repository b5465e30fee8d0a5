"""GF413: `len(mask.nonzero())`, and a name that stands for the places of a mask and is only counted."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import replace

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._dims import changes_in_place, owner_of
from ._masks import gives_tuple, mask_of_places
from ._match import dotted, is_pure
from ._reads import number_around, parent
from ._uses import may_be_tensor


class CountOfTrue(Rule):
    """What it does:
        Counts how often a mask is true, where code looks for the places and uses no more than their number.

    Why it breaks the graph:
        `nonzero`, `argwhere` and `where` with a condition alone return as many places as there are (GB0036).

    Example:
        positives = (labels > 0).nonzero()
        loss = total / positives.size(0)

        positives = labels > 0
        loss = total / torch.count_nonzero(positives)

    Safety:
        Proven. The number becomes a tensor without dimensions; offered where all that takes it can take one. Where a
        branch tests it, the graph breaks there instead, and the rewrite stays only if another rule repairs that.
    """

    code, name = "GF413", "count-of-true"
    title = "count where the mask is true, without the places"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0036"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        module, mask = site.module, mask_of_places(site.node)
        if mask is None or not isinstance(site.node, ast.expr):
            return None
        places = _places(module, site.node)
        tests: list[ast.expr] = []
        if (count := _counted(module, places)) is not None:
            if not is_pure(mask) or not _takes_tensor(module, count, tests):
                return None
            found = site.replace(count, "{torch}.count_nonzero({mask})", mask=mask)
        else:
            holder = parent(module, places)
            target = holder.targets[0] if isinstance(holder, ast.Assign) and len(holder.targets) == 1 else None
            counts = _counts_of(module, target) if isinstance(target, ast.Name) else []
            if not counts or not all(_takes_tensor(module, one, tests) for one in counts):
                return None
            assert isinstance(target, ast.Name)
            function, owner = module.function_of(target), owner_of(mask)
            if function is None or (owner and changes_in_place(function, owner)):  # the places would stay as they were
                return None
            changes: list[tuple[ast.expr, str, Mapping[str, ast.expr]]] = [(places, "{mask}", {"mask": mask})]
            changes += [(one, f"{{torch}}.count_nonzero({target.id})", {}) for one in counts]
            found = site.replace_each(changes)
        return found and replace(found, onward=tuple(map(module.location, tests)))

    cases = (
        Rewrites(
            before="""
                import torch

                def f(logits, labels):
                    # how many are there
                    positives = (labels > 0).nonzero()
                    return logits.sum() / max(positives.size(0), 1)
            """,
            after="""
                import torch

                def f(logits, labels):
                    # how many are there
                    positives = labels > 0
                    return logits.sum() / max(torch.count_nonzero(positives), 1)
            """,
            calls=("f(torch.ones(3), torch.tensor([0, 1, 2]))", "f(torch.ones(4), torch.zeros(4))"),
        ),
        Rewrites(
            before="""
                import torch

                class Share(torch.nn.Module):
                    def forward(self, mask, x):
                        rows = torch.where(mask)[0]
                        return x * len(rows) / len(torch.nonzero(~mask)) + rows.shape[0]

                f = Share()
            """,
            after="""
                import torch

                class Share(torch.nn.Module):
                    def forward(self, mask, x):
                        rows = mask
                        return x * torch.count_nonzero(rows) / torch.count_nonzero(~mask) + torch.count_nonzero(rows)

                f = Share()
            """,
            calls=("f(torch.arange(4) > 1, torch.ones(2))", "f(torch.arange(3) > 0, torch.ones(2))"),
        ),
        Leaves(
            source="""
                def f(mask, x):
                    rows = mask.nonzero()
                    return x.repeat(len(rows)) + rows.sum()
            """,
            calls=("f(torch.arange(3) > 0, torch.ones(2))",),
        ),
        Leaves(
            source="""
                def f(mask, x):
                    rows = mask.nonzero()
                    mask[:] = True
                    return x * len(rows)
            """,
            calls=("f(torch.arange(3) > 0, torch.ones(2))",),
        ),
        Leaves(
            source="""
                import torch

                def f(mask, x):
                    return x.new_zeros(len(mask.nonzero()))
            """,
            calls=("f(torch.arange(3) > 0, torch.ones(2))",),
        ),
    )


def _places(module: Module, node: ast.expr) -> ast.expr:
    """The call with `[0]`, `[:, 0]`, `.squeeze(1)` and their like behind it, as far as they keep the number of rows."""
    while True:
        above = parent(module, node)
        if isinstance(above, ast.Subscript) and above.value is node and ast.unparse(above.slice) in ("0", ":, 0"):
            if isinstance(node, ast.Call) and ast.unparse(above.slice) == "0" and not gives_tuple(node):
                return node
            node = above
            continue
        call = parent(module, above) if isinstance(above, ast.Attribute) else None
        if isinstance(call, ast.Call) and ast.unparse(call)[len(ast.unparse(node)) :] in _KEEPS_ROWS:
            node = call
            continue
        return node


_KEEPS_ROWS = frozenset({".squeeze(1)", ".squeeze(-1)", ".squeeze(dim=1)", ".squeeze(dim=-1)", ".cpu()", ".detach()"})


def _counted(module: Module, places: ast.expr) -> ast.expr | None:
    """The expression that asks how many there are: `len(p)`, `p.size(0)`, `p.shape[0]`."""
    if isinstance(places, ast.Call) and mask_of_places(places) is not None and gives_tuple(places):
        return None
    above = parent(module, places)
    if isinstance(above, ast.Call) and dotted(above.func) == "len":
        return above
    outer = parent(module, above) if isinstance(above, ast.Attribute) else None
    text = ast.unparse(outer)[len(ast.unparse(places)) :] if isinstance(outer, ast.Call | ast.Subscript) else ""
    counts = text in (".size(0)", ".size(dim=0)", ".shape[0]", ".size()[0]")
    return outer if counts and isinstance(outer, ast.expr) else None


def _counts_of(module: Module, target: ast.Name) -> list[ast.expr]:
    """The expressions that count what a name stands for; none where it is assigned or used in another way, too."""
    function = module.function_of(target)
    names = [one for one in ast.walk(function or target) if isinstance(one, ast.Name) and one.id == target.id]
    counts = [_counted(module, one) for one in names if one is not target]
    found = [one for one in counts if one is not None]
    return found if len(found) == len(names) - 1 else []


def _takes_tensor(module: Module, count: ast.expr, tests: list[ast.expr]) -> bool:
    return may_be_tensor(module, number_around(module, count), (count,), tests=tests)
