"""GF100: a Python number read out of a tensor."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator

from graphfix.rule import Finds, Leaves, Rule, Safety, Site
from graphfix.source.module import Module

_METHODS = frozenset({"item", "tolist"})
_CONVERSIONS = frozenset({"int", "float", "bool", "complex", "range", "operator.index"})
_COMPARISONS = frozenset({"torch.equal", "torch.allclose", "torch.is_nonzero"})
"""Functions of torch that return a Python bool."""
_MATH = frozenset(name for name in dir(math) if not name.startswith("_"))
_MADE = frozenset("arange zeros ones empty full rand randn eye".split())
"""Functions of torch whose first arguments, that of `full` alone, are sizes."""
_RESIZED = frozenset("view reshape expand repeat narrow split new_zeros new_ones new_empty roll".split())
"""Methods of a tensor whose arguments are sizes and the like."""
_SIZE_NAMES = frozenset({"size", "start", "end", "step", "n", "m"})
_SIZED = _MADE | _RESIZED
_NAMES = frozenset(
    {*_METHODS, "int", "float", "bool", "complex", "range", "index", "equal", "allclose", "is_nonzero", *_MATH}
)


class ScalarRead(Rule):
    """What it does:
        Finds `.item()`, `.tolist()`, `int()`, `float()`, `bool()`, functions of `math` on tensors, and `torch.equal`
        and its like. It repairs nothing: other rules know the repair of some of them.

    Why it breaks the graph:
        The number is known at run time only, so Dynamo ends the graph to read it (GB0124); on a GPU the host waits for
        the device.

    Example:
        scale = x.abs().max().item()
        x = x / scale

        x = x / x.abs().max()

    Safety:
        Nothing is changed. A person can go on with the tensor where a tensor will do.
    """

    code, name = "GF100", "scalar-read"
    title = "reads a Python number out of a tensor"
    safety = Safety.UNSAFE
    names = frozenset({"GB0124", "GB0109", "GB0033", "GB0059"})

    def find(self, module: Module) -> Iterator[Site]:
        for node in module.analysis.calls(_NAMES):
            if node.args and module.analysis.meaning(node.func) in _COMPARISONS:
                yield Site(module, node)
            elif (read := _read(module, node)) is not None:
                tensor, is_method = read
                sure = module.analysis.tensor(tensor, optional=is_method)
                if sure or (is_method and sure is not None) or (is_method and module.analysis.is_open(tensor)):
                    yield Site(module, node, sure=bool(sure))

        for node in module.analysis.calls(_SIZED):
            if any(module.analysis.tensor(size) for size in _sizes(module, node)):
                yield Site(module, node, message="makes a shape of a number that it reads out of a tensor")
        for place in module.analysis.nodes(ast.Subscript):
            assert isinstance(place, ast.Subscript)
            bounds = [bound for bound in _bounds(place.slice) if module.analysis.tensor(bound)]
            if bounds:
                yield Site(module, place, message="slices by a number that it reads out of a tensor")

    cases = (
        Finds(
            source="""
                import math

                import torch

                class Net(torch.nn.Module):
                    def forward(self, x, mask=None):
                        if mask is not None:
                            x = x[:, : int(mask.sum(-1).max())]
                        peak = x.view(-1).abs().max()
                        x = x / peak.item()
                        for one in peak.reshape(1).tolist():
                            x = x + one
                        return x * math.sqrt(peak) + float(peak)

                f = Net()
            """,
            lines=(8, 10, 11, 13, 13),
            calls=("f(torch.ones(2, 3), torch.ones(2, 3))", "f(torch.ones(2, 4), torch.ones(2, 4))"),
        ),
        Finds(
            source="""
                import torch

                class Net(torch.nn.Module):
                    def forward(self, x: torch.Tensor, lengths: torch.Tensor):
                        longest = lengths.max()
                        return x[:, :longest] * 2

                f = Net()
            """,
            lines=(6,),
            calls=("f(torch.ones(2, 3), torch.tensor([1, 2]))", "f(torch.ones(2, 4), torch.tensor([1, 3]))"),
        ),
        Finds(
            source="""
                import torch

                def padded(x, length, value=0.0):
                    return torch.cat([x, torch.full((length, 3), value)])

                class Net(torch.nn.Module):
                    def forward(self, x: torch.Tensor, lengths: torch.Tensor):
                        y = padded(x, lengths.max())
                        y = y.sum() + torch.zeros(2, lengths.max() + 1)
                        y = y.sum() + torch.arange(end=lengths.max())
                        y = y.sum() + x.repeat(lengths.max(), 1)
                        return y.sum() + x.narrow(0, 0, lengths.min())

                f = Net()
            """,
            lines=(4, 9, 10, 11, 12),
            calls=(
                "f(torch.ones(2, 3), torch.tensor([1, 2]))",
                "f(torch.ones(3, 3), torch.tensor([2, 1]))",
            ),
        ),
        Leaves(
            source="""
                import torch

                def padded(x, length):
                    return torch.cat([x, torch.full((length, 3), x.max())])

                class Net(torch.nn.Module):
                    def forward(self, x: torch.Tensor):
                        n = x.size(0)
                        return padded(x, n).repeat(n, 1).view(-1, 3) + torch.zeros(n * (n + n), 3)

                f = Net()
            """,
            calls=("f(torch.ones(2, 3))",),
        ),
        Leaves(
            source="""
                import math

                import torch

                class Net(torch.nn.Module):
                    def forward(self, x: torch.Tensor, sizes: list[int]):
                        count = int(x.shape[0]) + float(len(sizes)) + math.sqrt(x.size(-1))
                        x = x[: len(sizes)] + x[torch.arange(1)] + x[: x.shape[0] // 1]
                        return x.int() * count, dict(sizes=sizes).items()

                f = Net()
            """,
            calls=("f(torch.ones(3), [1])",),
        ),
    )


def _sizes(module: Module, node: ast.Call) -> Iterator[ast.expr]:
    """What a call takes for sizes, those in tuples and lists one by one."""
    assert isinstance(node.func, ast.Name | ast.Attribute)
    owner, _, name = module.analysis.meaning(node.func).rpartition(".")
    if owner == "torch" and name in _MADE:
        sizes = [*node.args[: 1 if name == "full" else None], *(k.value for k in node.keywords if k.arg in _SIZE_NAMES)]
    elif isinstance(node.func, ast.Attribute) and node.func.attr in _RESIZED and owner != "torch":
        sizes = node.args if module.analysis.tensor(node.func.value, optional=True) else []
    else:
        return
    for size in sizes:
        for one in size.elts if isinstance(size, ast.Tuple | ast.List) else [size]:
            if not isinstance(one, ast.Constant):
                yield one


def _bounds(index: ast.expr) -> Iterator[ast.expr]:
    """The bounds of the slices in an index."""
    for part in index.elts if isinstance(index, ast.Tuple) else [index]:
        if isinstance(part, ast.Slice):
            yield from (bound for bound in (part.lower, part.upper, part.step) if bound is not None)


def _read(module: Module, node: ast.Call) -> tuple[ast.expr, bool] | None:
    """The expression whose number a call reads, and whether it is a method of it."""
    if isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS and not node.args and not node.keywords:
        return node.func.value, True
    if len(node.args) != 1 or isinstance(node.args[0], ast.Starred):
        return None
    name = module.analysis.meaning(node.func)
    return (node.args[0], False) if name in _CONVERSIONS or name.startswith("math.") else None
