"""GF611: a size that is data, of which the compiler has to know that it is not 1."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from graphfix.model import Assumption
from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module
from graphfix.source.text import literal

from ._lengths import is_length, tensor_of, values_of
from ._match import is_pure

_SHAPED = frozenset("zeros ones empty full rand randn new_zeros new_ones new_empty new_full".split())


class SizeFromData(Rule):
    """What it does:
        Says of a size that was read from a tensor that it is at least 2, where Dynamo compiles, below the line that
        reads it or first makes a tensor with it.

    Why it breaks the graph:
        It does not: the backend fails. Whether a dimension is 1 decides how operations broadcast, so Inductor asks, and
        cannot tell for a size that is known at run time only ("Could not guard on data-dependent expression
        Eq(Max(1, u0), 1)", torch 2.13).

    Example:
        steps = torch.arange(lengths.max())
        scores = queries @ table[steps].unsqueeze(0)

        steps = torch.arange(lengths.max())
        if torch.compiler.is_compiling():
            torch._check(steps.shape[0] >= 2)
        scores = queries @ table[steps].unsqueeze(0)

    Safety:
        Unsafe: for a size of 0 or 1 compiled code raises RuntimeError. Eager is unchanged. Offered only where the size
        was larger on every call of the target.
    """

    code, name = "GF611", "size-from-data"
    title = "say that a size from data is at least 2, and check that it is"
    safety = Safety.UNSAFE
    failures: ClassVar[tuple[str, ...]] = ("Could not guard on data-dependent expression",)
    backend = "inductor"

    def rewrites(self, site: Site) -> Iterator[Rewrite | None]:
        for module, statement, size, fact in _sizes(site):
            assumption = Assumption(module.path, statement.lineno, f"{ast.unparse(size)} >= 2")
            if not site.may_hold(assumption):
                continue
            text = f"{{statement}}\nif {{torch}}.compiler.is_compiling():\n    {{torch}}._check({literal(fact)} >= 2)"
            yield replace(site, module=module, node=statement).replace([statement], text, statement=[statement])

    cases = (
        Rewrites(
            before="""
                import torch

                torch._dynamo.config.capture_scalar_outputs = True

                def f(x, lengths):
                    # as many as the longest has
                    steps = torch.arange(lengths.max(), dtype=x.dtype)
                    return torch.matmul((steps[:, None] * x[:1]).unsqueeze(0), x.unsqueeze(0))
            """,
            after="""
                import torch

                torch._dynamo.config.capture_scalar_outputs = True

                def f(x, lengths):
                    # as many as the longest has
                    steps = torch.arange(lengths.max(), dtype=x.dtype)
                    if torch.compiler.is_compiling():
                        torch._check(steps.shape[0] >= 2)
                    return torch.matmul((steps[:, None] * x[:1]).unsqueeze(0), x.unsqueeze(0))
            """,
            calls=("f(torch.ones(3, 3), torch.tensor([2, 5]))", "f(torch.ones(3, 3), torch.tensor([3, 4]))"),
        ),
        Rewrites(
            before="""
                import torch

                torch._dynamo.config.capture_scalar_outputs = True

                class Frames(torch.nn.Module):
                    def grid(self, counts, width: int):
                        frames = int(counts.sum())
                        return torch.ones((1, frames, width))

                    def forward(self, x, counts):
                        return torch.matmul(self.grid(counts, x.shape[0]) * 2, x[None])

                f = Frames()
            """,
            after="""
                import torch

                torch._dynamo.config.capture_scalar_outputs = True

                class Frames(torch.nn.Module):
                    def grid(self, counts, width: int):
                        frames = int(counts.sum())
                        if torch.compiler.is_compiling():
                            torch._check(frames >= 2)
                        return torch.ones((1, frames, width))

                    def forward(self, x, counts):
                        return torch.matmul(self.grid(counts, x.shape[0]) * 2, x[None])

                f = Frames()
            """,
            calls=("f(torch.ones(3, 3), torch.tensor([2, 5]))", "f(torch.ones(3, 3), torch.tensor([3, 4]))"),
        ),
        Leaves(
            source="""
                import torch

                torch._dynamo.config.capture_scalar_outputs = True

                def f(x, lengths):
                    steps = torch.arange(lengths.max(), dtype=x.dtype)
                    return (steps * 2).sum() + x
            """,
            calls=("f(torch.ones(3), torch.tensor([2, 5]))", "f(torch.ones(3), torch.tensor([3, 4]))"),
        ),
    )


def _sizes(site: Site) -> Iterator[tuple[Module, ast.stmt, ast.expr, str]]:
    """Where sizes are read in the code that ran, those of the functions that lead to the failure first.

    Each as its module and statement, the size as an expression, and a text that means it behind the statement.
    """
    ran = {module.path: lines for module, lines in site.ran()}
    modules = {module.path: module for module, _ in site.ran()}
    leading = [(site.module, site.node), *site.callers]
    modules |= {module.path: module for module, _ in leading}
    functions = {module.function_of(node) for module, node in leading}
    found: list[tuple[bool, tuple[Module, ast.stmt, ast.expr, str]]] = []
    for module in modules.values():
        if not any(word in module.text for word in ("max(", "sum(", "amax(", "[-1]")):
            continue
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Assign) or (module.path in ran and node.lineno not in ran[module.path]):
                continue
            size = _size(module, node)
            if size is not None and is_pure(size[0]):
                found.append((module.function_of(node) not in functions, (module, node, *size)))
    yield from (one for _, one in sorted(found, key=lambda one: one[0]))


def _size(module: Module, statement: ast.Assign) -> tuple[ast.expr, str] | None:
    """The size from data that a statement reads, or makes a tensor with, and the text that means it afterwards."""
    target = statement.targets[0]
    if len(statement.targets) != 1 or not isinstance(target, ast.Name):
        return None
    value = statement.value
    if is_length(value):
        return (value, target.id) if tensor_of(value) is not value else None
    for dim, size in _dims(value) if isinstance(value, ast.Call) else ():
        if _is_from_data(module, size):
            return size, f"{target.id}.shape[{dim}]"
    return None


def _dims(call: ast.Call) -> list[tuple[int, ast.expr]]:
    """The sizes of the tensor that a call makes, as far as its text shows them."""
    if not isinstance(call.func, ast.Attribute) or any(isinstance(arg, ast.Starred) for arg in call.args):
        return []
    if call.func.attr == "arange":
        return [(0, call.args[-1])] if len(call.args) == 1 else []
    if call.func.attr not in _SHAPED or not call.args:
        return []
    first = call.args[0]
    return list(enumerate(first.elts if isinstance(first, ast.Tuple | ast.List) else call.args))


def _is_from_data(module: Module, size: ast.expr) -> bool:
    """Whether a size is a tensor's longest length, or their sum, and no number yet."""
    values = [size, *(values_of(module, size) if isinstance(size, ast.Name) else ())]
    return any(is_length(value) and (tensor_of(value) is value or value is size) for value in values)
