"""GF421: `end = hits[0].item() if len(hits) > 0 else n`: the first place where a mask is true, or another number."""

from __future__ import annotations

import ast
from dataclasses import replace

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._first_true import LOOKED_UP, bound, follow
from ._hoist import following
from ._masks import Put, gives_tuple, mask_of_places
from ._match import is_boolean, is_named, is_pure
from ._reads import parent, read_at
from ._selection import count_of


class FirstOrDefault(Rule):
    """What it does:
        Looks the first or the last place where a mask is true up in the mask, and takes another number where there is
        none.

    Why it breaks the graph:
        `nonzero`, `argwhere` and `where` with a condition alone return as many places as there are (GB0036).

    Example:
        hits = (tokens == eos).nonzero()
        end = hits[0].item() if len(hits) > 0 else len(tokens)

        if torch.compiler.is_compiling():
            hits = tokens == eos
            end = torch.where(hits.any(), hits.long().argmax(), len(tokens))
        else:
            hits = (tokens == eos).nonzero()
            end = hits[0].item() if len(hits) > 0 else len(tokens)

    Safety:
        Eager code does what it did. In compiled code the number is a tensor: a run must show that what takes it can.
    """

    code, name = "GF421", "first-or-default"
    title = "look the first place up in the mask, or take the other number"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0036"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        module, call, mask = site.module, site.node, mask_of_places(site.node)
        if not site.dual or mask is None or not isinstance(call, ast.Call) or "{" in ast.unparse(mask):
            return None
        places, what = follow(module, call, "tuple" if gives_tuple(call) else "rows")
        statement = parent(module, places)
        target, what = bound(statement, what)
        if target is None or not isinstance(statement, ast.Assign | ast.AnnAssign):
            return None
        behind = next(iter(following(module, statement)), None)
        chosen = _chosen(module, behind) if behind is not None else None
        if behind is None or chosen is None or not _reads_all(module, target, behind):
            return None
        name, test, yes, no = chosen
        if (holds := _any(module, test, target.id)) is None:
            return None
        found, other = (yes, no) if holds else (no, yes)
        names = [part for part in ast.walk(found) if isinstance(part, ast.Name) and part.id == target.id]
        reads = [_place(module, one, what) for one in names]
        if (
            not reads
            or not (is_pure(found) and is_pure(other))
            or any(is_named(part, target.id) for part in ast.walk(other))
        ):
            return None
        texts = {place: f"{target.id}{LOOKED_UP[end]}" for place, end in reads if end in LOOKED_UP}
        value, rest = Put(texts).text(found), ast.unparse(other)
        if len(texts) < len(reads) or "{" in value + rest:
            return None
        lines = [
            "if {torch}.compiler.is_compiling():",
            f"    {target.id} = {{mask}}" + ("" if is_boolean(module, mask) else " != 0"),
            f"    {{torch}}._check({target.id}.dim() == 1)",
            f"    {name} = {{torch}}.where({target.id}.any(), {value}, {rest})",
            "else:",
            "    {made}",
        ]
        both = [statement, behind]
        return replace(site, dual=False).replace(both, "\n".join(lines) + "\n", mask=mask, made=both)

    cases = (
        Rewrites(
            before="""
                import torch

                def f(tokens, eos: int = 2):
                    ends = []
                    for row in tokens:
                        hits = (row == eos).nonzero()
                        # all of it, where none ends
                        end = hits[0].item() + 1 if len(hits) > 0 else row.numel()
                        ends.append(end)
                    return torch.tensor(ends)
            """,
            after="""
                import torch

                def f(tokens, eos: int = 2):
                    ends = []
                    for row in tokens:
                        if torch.compiler.is_compiling():
                            hits = row == eos
                            torch._check(hits.dim() == 1)
                            end = torch.where(hits.any(), hits.long().argmax() + 1, row.numel())
                        else:
                            hits = (row == eos).nonzero()
                            # all of it, where none ends
                            end = hits[0].item() + 1 if len(hits) > 0 else row.numel()
                        ends.append(end)
                    return torch.tensor(ends)
            """,
            calls=(
                "f(torch.tensor([[1, 2, 3, 2], [4, 5, 6, 7]]))",
                "f(torch.tensor([[2, 2, 3], [4, 5, 2]]))",
            ),
        ),
        Rewrites(
            before="""
                import torch

                def f(signal, level):
                    (above,) = torch.where(signal > level)
                    if above.numel() == 0:
                        last = -1
                    else:
                        last = int(above[-1])
                    return signal * last
            """,
            after="""
                import torch

                def f(signal, level):
                    if torch.compiler.is_compiling():
                        above = signal > level
                        torch._check(above.dim() == 1)
                        last = torch.where(above.any(), above.cumsum(0).argmax(), -1)
                    else:
                        (above,) = torch.where(signal > level)
                        if above.numel() == 0:
                            last = -1
                        else:
                            last = int(above[-1])
                    return signal * last
            """,
            calls=("f(torch.tensor([0.0, 2.0, 1.0]), 0.5)", "f(torch.tensor([0.0, 1.0]), 5.0)"),
        ),
        Leaves(
            source="""
                def f(row):
                    hits = (row == 2).nonzero()
                    end = hits[0].item() if len(hits) > 0 else row.numel()
                    return row * end, hits
            """,
            calls=("f(torch.tensor([1, 2, 3]))",),
        ),
        Leaves(
            source="""
                def f(row):
                    hits = (row == 2).nonzero()
                    end = hits[0].item() if len(hits) > 1 else row.numel()
                    return row * end
            """,
            calls=("f(torch.tensor([1, 2, 3]))",),
        ),
    )


def _chosen(module: Module, node: ast.stmt) -> tuple[str, ast.expr, ast.expr, ast.expr] | None:
    """The name that a statement gives one of two values, the condition, and both values."""
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.IfExp) and len(node.targets) == 1:
        target = node.targets[0]
        return (
            (target.id, node.value.test, node.value.body, node.value.orelse) if isinstance(target, ast.Name) else None
        )
    if not isinstance(node, ast.If) or len(node.body) != 1 or len(node.orelse) != 1:
        return None
    one, other = node.body[0], node.orelse[0]
    if not isinstance(one, ast.Assign) or not isinstance(other, ast.Assign):
        return None
    if [*map(ast.unparse, one.targets)] != [*map(ast.unparse, other.targets)] or len(one.targets) != 1:
        return None
    target = one.targets[0]
    return (target.id, node.test, one.value, other.value) if isinstance(target, ast.Name) else None


def _reads_all(module: Module, target: ast.Name, behind: ast.stmt) -> bool:
    """Whether a name is read in one statement only, and bound once."""
    function, inside = module.function_of(target), set(ast.walk(behind))
    if function is None:
        return False
    return all(part is target or part in inside for part in ast.walk(function) if is_named(part, target.id))


def _any(module: Module, test: ast.expr, name: str) -> bool | None:
    """Whether a condition holds where a mask has a place, or where it has none; None where it asks something else."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        found = _any(module, test.operand, name)
        return None if found is None else not found
    count, asked = test, "> 0"
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        count = test.left
        asked = ast.unparse(test).removeprefix(ast.unparse(count)).strip()
    names = [part for part in ast.walk(count) if is_named(part, name)]
    if len(names) != 1 or not isinstance(names[0], ast.expr):
        return None
    if count_of(module, names[0]) is not count:
        return None
    return {"> 0": True, "!= 0": True, ">= 1": True, "== 0": False, "< 1": False, "<= 0": False}.get(asked)


def _place(module: Module, name: ast.Name, what: str) -> tuple[ast.expr, str]:
    """The read of a place that begins at a name of places, the number that is read out of it, too; and which it is."""
    place, end = follow(module, name, what)
    for above in module.parents(place):
        if isinstance(above, ast.Call) and (read := read_at(module, above)) is not None and read.tensor is place:
            return above, end.removesuffix(" row")  # a row of one number
        if not isinstance(above, ast.Attribute | ast.Call):
            break
    return place, end
