"""GF218: a branch on a size that is data, which went one way on all calls."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import ClassVar

from graphfix.model import Assumption
from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module
from graphfix.source.text import literal

from ._chain import elifs_above
from ._lengths import values_of
from ._match import is_pure

_OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
}


class BranchOnDataSize(Rule):
    """What it does:
        Says above a branch on a size which way it goes, where Dynamo compiles: the way that all calls went.

    Why it breaks the graph:
        A size that was read from a tensor (with `torch._dynamo.config.capture_scalar_outputs`) is known at run time
        only, so Dynamo cannot tell which way to compile (GB0170; in a function that it inlines it says "Could not guard
        on data-dependent expression"). Most such branches are for the exception: a table that has to grow, a chunk that
        is too long.

    Example:
        if table.shape[0] < x.shape[1]:
            table = longer(table, x.shape[1])

        if torch.compiler.is_compiling():
            torch._check(table.shape[0] >= x.shape[1])
        if table.shape[0] < x.shape[1]:
            table = longer(table, x.shape[1])

    Safety:
        Unsafe: for sizes that go the other way compiled code raises RuntimeError instead of going it. Eager is
        unchanged. Call the uncompiled function for such inputs. Offered only where all calls of the target went one
        way.
    """

    code, name = "GF218", "branch-on-data-size"
    title = "say which way a branch on a size from data goes, and check that it does"
    safety = Safety.UNSAFE
    repairs = frozenset({"GB0170"})
    failures: ClassVar[tuple[str, ...]] = ("Could not guard on data-dependent expression",)

    def rewrites(self, site: Site) -> Iterator[Rewrite | None]:
        branch = site.enclosing(ast.If)
        if branch is None or site.node not in (branch, branch.test) or elifs_above(site.module, branch):
            return
        if site.break_ is not None and site.break_.id is not None and not _on_size(site.module, branch.test):
            return
        for condition in _both_ways(branch.test):
            assumption = Assumption(site.module.path, branch.lineno, ast.unparse(condition))
            if site.may_hold(assumption):
                guard = "if {torch}.compiler.is_compiling():\n    {torch}._check({condition})"
                yield site.before(branch, guard.replace("{condition}", literal(ast.unparse(condition))))

    cases = (
        Rewrites(
            before="""
                import torch

                torch._dynamo.config.capture_scalar_outputs = True

                def f(table, lengths):
                    places = torch.arange(lengths.max().item())
                    # as far as it goes
                    if table.shape[0] > len(places):
                        table = table[: len(places)]
                    return table.sum() * places
            """,
            after="""
                import torch

                torch._dynamo.config.capture_scalar_outputs = True

                def f(table, lengths):
                    places = torch.arange(lengths.max().item())
                    # as far as it goes
                    if torch.compiler.is_compiling():
                        torch._check(table.shape[0] > len(places))
                    if table.shape[0] > len(places):
                        table = table[: len(places)]
                    return table.sum() * places
            """,
            calls=("f(torch.ones(9), torch.tensor([2, 5]))", "f(torch.ones(9), torch.tensor([3, 4]))"),
        ),
        Rewrites(
            before="""
                import torch

                torch._dynamo.config.capture_scalar_outputs = True

                class Positions(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.register_buffer("table", torch.arange(50.0))

                    def rows(self, x, table=None):
                        if table is not None:
                            if table.size(0) >= x.size(0) * 2 - 1:
                                return table
                        return torch.arange(float(x.size(0) * 2 - 1))

                    def forward(self, counts):
                        x = torch.ones(int(counts.max()))
                        return x * self.rows(x, self.table)[: x.size(0)]

                f = Positions()
            """,
            after="""
                import torch

                torch._dynamo.config.capture_scalar_outputs = True

                class Positions(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.register_buffer("table", torch.arange(50.0))

                    def rows(self, x, table=None):
                        if table is not None:
                            if torch.compiler.is_compiling():
                                torch._check(table.size(0) >= x.size(0) * 2 - 1)
                            if table.size(0) >= x.size(0) * 2 - 1:
                                return table
                        return torch.arange(float(x.size(0) * 2 - 1))

                    def forward(self, counts):
                        x = torch.ones(int(counts.max()))
                        return x * self.rows(x, self.table)[: x.size(0)]

                f = Positions()
            """,
            calls=("f(torch.tensor([5, 2]))", "f(torch.tensor([8, 3, 1]))"),
        ),
        Leaves(
            source="""
                import torch

                def f(x):
                    if x.sum() > 3:
                        return x + 1
                    return x * 2
            """,
            calls=("f(torch.ones(3))",),
        ),
        Leaves(
            source="""
                import torch

                torch._dynamo.config.capture_scalar_outputs = True

                def f(x):
                    x = torch.ones(x.sum().item())
                    while x.shape[0] > 3:
                        x = x[1:]
                    return x
            """,
            calls=("f(torch.tensor([2, 3]))",),
        ),
    )


def _on_size(module: Module, test: ast.expr) -> bool:
    """Whether a test names a size, or a number that was read from a tensor."""
    for part in ast.walk(test):
        values = [part, *(values_of(module, part) if isinstance(part, ast.Name) else ())]
        if any(_is_size(value) for value in values):
            return True
    return False


def _is_size(node: ast.AST) -> bool:
    if isinstance(node, ast.Subscript):
        return isinstance(node.value, ast.Attribute) and node.value.attr == "shape"
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Attribute):
        return node.func.attr in {"size", "item"}
    return isinstance(node.func, ast.Name) and node.func.id in {"len", "int"}


def _both_ways(test: ast.expr) -> Iterator[ast.Compare]:
    """A comparison and its opposite; nothing for another test."""
    if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not is_pure(test):
        return
    opposite = _OPPOSITE.get(type(test.ops[0]))
    if opposite is not None:
        yield test
        yield ast.copy_location(ast.Compare(test.left, [opposite()], test.comparators), test)
