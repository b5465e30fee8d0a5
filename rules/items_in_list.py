"""GF115: numbers read out of tensors, collected in a list of which a tensor is made."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import replace

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site, narrowed
from graphfix.source.module import Module

from ._collected import Collected, collected
from ._dims import has_no_dims
from ._match import only_value
from ._numbers import aliased, as_tensors
from ._reads import Read, number_around, parent, read_at
from ._uses import may_be_tensor, target_of

_MAKERS = frozenset({"torch.tensor", "torch.as_tensor"})


class ItemsInList(Rule):
    """What it does:
        Collects tensors in a list, where it got the numbers read out of them and a tensor is made of it at the end.

    Why it breaks the graph:
        Each `.item()`, `int()`, `float()` and `bool()` asks for a value that exists only at run time, so Dynamo ends
        the graph (GB0124), in a loop once a round.

    Example:
        losses = []
        for batch in batches:
            losses.append(loss(batch).item())
        return torch.tensor(losses)

        losses = []
        for batch in batches:
            losses.append(loss(batch).detach())
        return torch.tensor(losses)

    Safety:
        Proven. `torch.tensor` makes the same of tensors without dimensions as of their numbers, also of an empty list,
        and on the same device. Without a `dtype` it takes that of the tensors, where Python's numbers gave the default
        one, and what is computed with the numbers on the way is no longer computed in Python's doubles: a run must
        show the result to be the same.
    """

    code, name = "GF115", "items-in-list"
    title = "collect the tensors, not the numbers read out of them"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0124", "GB0033"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        module, read = site.module, read_at(site.module, site.node)
        found = _list_of(module, number_around(module, read.node)) if read is not None else None
        if found is None or not _makes_tensor(module, found.call):
            return None
        elements = list(_single(found.elements))
        reads = {one.node: one for element in elements for one in _reads_behind(site, element)}
        numbers = list(dict.fromkeys(number_around(module, node) for node in reads))
        if any(aliased(site, one) for one in reads.values()):
            return None
        if not all(_may_be_tensor(module, one, elements, tuple(reads)) for one in numbers):
            return None
        changes = [as_tensors(replace(site, node=one), one, tuple(reads)) for one in numbers]
        if module.analysis.meaning(found.call.func) == "torch.as_tensor":  # Dynamo takes it with numbers only
            changes.append(replace(site, dual=False).replace(found.call.func, "{torch}.tensor"))
        return site.together(*(one and _narrowed(module, one) for one in changes))

    cases = (
        Rewrites(
            before="""
                import torch

                def f(batches, scale: float):
                    norms = []
                    for batch in batches:
                        norms.append(batch.norm().item())  # of each
                    return torch.tensor(norms) * scale
            """,
            after="""
                import torch

                def f(batches, scale: float):
                    norms = []
                    for batch in batches:
                        norms.append(batch.norm().detach())  # of each
                    return torch.tensor(norms) * scale
            """,
            calls=("f(torch.arange(6.0).view(2, 3), 2.0)", "f([torch.ones(2), torch.ones(3)], 0.5)", "f([], 1.0)"),
        ),
        Rewrites(
            before="""
                import torch as t

                class Confusion(t.nn.Module):
                    def forward(self, guess, truth, classes: int):
                        table = [[0, truth.numel(), 0.0]]
                        for one in range(classes):
                            hits = int(((guess == one) & (truth == one)).sum())
                            found = (guess == one).sum().item()
                            rate = hits / 2
                            table.append((hits, found, rate))
                            table.append((one, truth.argmax().item(), float(guess.max())))
                        return guess + 1, t.as_tensor(
                            table,
                            dtype=t.float32,  # of all columns
                        )

                f = Confusion()
            """,
            after="""
                import torch as t

                class Confusion(t.nn.Module):
                    def forward(self, guess, truth, classes: int):
                        table = [[0, truth.numel(), 0.0]]
                        for one in range(classes):
                            hits = ((guess == one) & (truth == one)).sum().long()
                            found = (guess == one).sum()
                            rate = hits / 2
                            table.append((hits, found, rate))
                            table.append((one, truth.argmax(), guess.max().detach().float()))
                        return guess + 1, t.tensor(
                            table,
                            dtype=t.float32,  # of all columns
                        )

                f = Confusion()
            """,
            calls=("f(torch.tensor([0, 1, 1]), torch.tensor([0, 1, 0]), 2)",),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, heads):
                    tops = [float(head.max()) for head in heads]
                    lows = torch.tensor([head.min().item() for head in heads], device=x.device)
                    return x + x.new_tensor(tops), lows
            """,
            after="""
                import torch

                def f(x, heads):
                    tops = [head.max().detach().float() for head in heads]
                    lows = torch.tensor([head.min().detach() for head in heads], device=x.device)
                    return x + x.new_tensor(tops), lows
            """,
            calls=("f(torch.ones(2), torch.arange(6.0).view(2, 3))",),
        ),
        Leaves(
            source="""
                import torch

                def f(batches):
                    norms = []
                    for batch in batches:
                        norms.append(batch.norm().item())
                    return torch.tensor(norms), max(norms)
            """,
            calls=("f(torch.arange(6.0).view(2, 3))",),
        ),
        Leaves(
            source="""
                import torch

                def f(batches, total):
                    so_far = []
                    for batch in batches:
                        total += batch.sum()
                        so_far.append(total.item())
                    return torch.tensor(so_far)
            """,
            calls=("f(torch.arange(6.0).view(2, 3), torch.tensor(0.0))",),
        ),
        Leaves(
            source="""
                import torch

                def f(batches):
                    sizes = []
                    for batch in batches:
                        size = batch.sum().item()
                        sizes.append(size)
                        if size > 5:
                            break
                    return torch.tensor(sizes)
            """,
            calls=("f(torch.arange(6.0).view(2, 3))",),
        ),
    )


def _makes_tensor(module: Module, call: ast.Call) -> bool:
    """Whether a call makes a new tensor of a list."""
    method = isinstance(call.func, ast.Attribute) and call.func.attr == "new_tensor"
    return method or module.analysis.meaning(call.func) in _MAKERS


def _list_of(module: Module, number: ast.expr, depth: int = 4) -> Collected | None:
    """The list that a number goes into, in a row or alone, maybe by a name."""
    row = parent(module, number)
    if isinstance(row, ast.List | ast.Tuple) and (found := collected(module, row)) is not None:
        return found
    if (found := collected(module, number)) is not None or not depth:
        return found
    onward = (_list_of(module, number_around(module, load), depth - 1) for load in _loads(module, number))
    return next(filter(None, onward), None)


def _single(elements: Iterable[ast.expr]) -> Iterator[ast.expr]:
    """The elements of a list, those of rows one by one."""
    for element in elements:
        yield from element.elts if isinstance(element, ast.List | ast.Tuple) else [element]


def _reads_behind(site: Site, node: ast.AST, depth: int = 4) -> Iterator[Read]:
    """The reads in an expression, and in what its names stand for."""
    if (read := read_at(site.module, node, sure=node is site.node or _takes_number(site.module, node))) is not None:
        yield read
    elif isinstance(node, ast.Name):
        value = only_value(site.module, node)
        yield from _reads_behind(site, value, depth - 1) if value is not None and depth else ()
    else:
        for child in ast.iter_child_nodes(node):
            yield from _reads_behind(site, child, depth)


def _takes_number(module: Module, node: ast.AST) -> bool:
    """Whether a call gets what a tensor was reduced to: `int(t.sum())`."""
    return isinstance(node, ast.Call) and any(
        isinstance(one, ast.Call) and has_no_dims(module, one) for one in node.args
    )


def _may_be_tensor(
    module: Module, number: ast.expr, elements: list[ast.expr], reads: tuple[ast.AST, ...], depth: int = 4
) -> bool:
    """Whether a number is an element of the list, or all that takes it can take a tensor."""
    if number in elements:
        return True
    if not depth or not (loads := _loads(module, number)):
        return may_be_tensor(module, number, reads)
    wholes = (number_around(module, load) for load in loads)
    return all(_may_be_tensor(module, one, elements, (*reads, *loads), depth - 1) for one in wholes)


def _loads(module: Module, value: ast.expr) -> list[ast.expr]:
    """Where the name is read that alone stands for a value."""
    target, function = target_of(module, value), module.function_of(value)
    if not isinstance(target, ast.Name) or function is None or only_value(module, target) is not value:
        return []
    names = [one for one in ast.walk(function) if isinstance(one, ast.Name) and one.id == target.id]
    return [one for one in names if isinstance(one.ctx, ast.Load)]


def _narrowed(module: Module, rewrite: Rewrite) -> Rewrite:
    """The rewrite of one place, so that it goes together with another one on the same line."""
    return replace(rewrite, edits=tuple(narrowed(module.text, edit) for edit in rewrite.edits))
