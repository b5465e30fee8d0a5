"""GF110: `for v in t.tolist():`, `a, b = t.tolist()`, `x[i.tolist()]`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._clamps import as_two, two_bounds
from ._dims import has_no_gradient
from ._match import dotted
from ._reads import parent
from ._selection import names_in
from ._uses import target_of

_TAKE_TENSORS = frozenset({"sum", "max", "min", "len", "enumerate", "zip", "reversed", "list", "tuple", "iter"})
_MAKERS = frozenset({"torch.tensor", "torch.as_tensor"})


class TolistLoop(Rule):
    """What it does:
        Loops over a tensor, unpacks or indexes it, or indexes by it, where its numbers were read into a list first;
        makes a list of whole numbers without a tensor, where one was made of `arange`. A `clamp` between a number and
        one that was unpacked becomes two.

    Why it breaks the graph:
        `.tolist()` asks for values that exist only at run time, so Dynamo ends the graph (GB0109, GB0033, GB0124), and
        on a GPU the host waits for the device.

    Example:
        for weight in weights.tolist():
            y = y + weight * x

        for weight in weights.detach():
            y = y + weight * x

    Safety:
        Proven. A tensor has the same elements in the same order; a run must show that what takes them computes the
        same with tensors without dimensions. Where something is cut to a length among them, the graph breaks there
        instead, and the rewrite stays only if another rule repairs that.
    """

    code, name = "GF110", "tolist-loop"
    title = "take the tensor's elements, not a list of numbers"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0109", "GB0033", "GB0124"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        module, call = site.module, site.node
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "tolist"):
            return None
        tensor = call.func.value
        while isinstance(tensor, ast.Call) and isinstance(tensor.func, ast.Attribute):
            if tensor.func.attr not in ("cpu", "detach", "numpy") or tensor.args or tensor.keywords:
                break
            tensor = tensor.func.value
        text = "{tensor}" if has_no_gradient(module, tensor) else "{tensor}.detach()"
        if (counted := _range(module, tensor)) is not None:
            return site.replace(call, counted[0], **counted[1])
        above = parent(module, call)
        if isinstance(above, ast.Call) and module.analysis.meaning(above.func) in _MAKERS and above.args == [call]:
            return _copied(site, above, text, tensor)
        if not _takes_tensor(module, call):
            return None
        found = site.replace_each([(call, text, {"tensor": tensor}), *_clamps(module, call)])
        return found and replace(found, onward=tuple(map(module.location, _cut_to(module, call))))

    cases = (
        Rewrites(
            before="""
                import torch

                def inside(points, size):
                    width, height = size.cpu().tolist()
                    return points[..., 0].clamp(min=0, max=width) + torch.clamp(points[..., 1], 0, height - 1)
            """,
            after="""
                import torch

                def inside(points, size):
                    width, height = size.detach()
                    return points[..., 0].clamp(min=0).clamp(max=width) + torch.clamp(points[..., 1], min=0).clamp(max=height - 1)
            """,  # noqa: E501
            calls=(
                "inside(torch.arange(8.0).reshape(4, 2), torch.tensor([3, 4]))",
                "inside(torch.arange(8.0).reshape(2, 2, 2), torch.tensor([2.0, 9.0]))",
            ),
        ),
        Rewrites(
            before="""
                def f(x, weights):
                    y = x
                    for weight in weights.tolist():
                        y = y + weight * x
                    return y
            """,
            after="""
                def f(x, weights):
                    y = x
                    for weight in weights.detach():
                        y = y + weight * x
                    return y
            """,
            calls=("f(torch.ones(3), torch.arange(4.0))", "f(torch.ones(3), torch.arange(4))"),
        ),
        Rewrites(
            before="""
                import torch

                class Affine(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.pair = torch.nn.Parameter(torch.tensor([2.0, 1.0]))

                    def forward(self, x, order):
                        scale, shift = self.pair.detach().cpu().tolist()
                        first = order.long().tolist()[0]
                        return x[order.long().tolist()] * scale + shift + first

                f = Affine()
            """,
            after="""
                import torch

                class Affine(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.pair = torch.nn.Parameter(torch.tensor([2.0, 1.0]))

                    def forward(self, x, order):
                        scale, shift = self.pair.detach()
                        first = order.long()[0]
                        return x[order.long()] * scale + shift + first

                f = Affine()
            """,
            calls=("f(torch.arange(3.0), torch.tensor([2, 0]))",),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, shifts):
                    values = shifts.tolist()  # one a row
                    rows = [x + 2 * v for v in values]
                    again = torch.tensor(shifts.tolist(), dtype=torch.float32)
                    return torch.stack(rows), again * sum(values)
            """,
            after="""
                import torch

                def f(x, shifts):
                    values = shifts.detach()  # one a row
                    rows = [x + 2 * v for v in values]
                    again = shifts.detach().to(dtype=torch.float32, copy=True)
                    return torch.stack(rows), again * sum(values)
            """,
            calls=("f(torch.arange(3.0), torch.tensor([2.0, 0.5]))", "f(torch.arange(3.0), torch.tensor([2, 1]))"),
        ),
        Rewrites(
            before="""
                import torch

                def dice(pred, target):
                    # all but batch and channel
                    axes: list[int] = torch.arange(2, len(pred.shape)).tolist()
                    return 2 * torch.sum(pred * target, dim=axes) / torch.sum(pred + target, dim=axes)
            """,
            after="""
                import torch

                def dice(pred, target):
                    # all but batch and channel
                    axes: list[int] = list(range(2, len(pred.shape)))
                    return 2 * torch.sum(pred * target, dim=axes) / torch.sum(pred + target, dim=axes)
            """,
            calls=(
                "dice(torch.ones(1, 2, 3, 3), torch.ones(1, 2, 3, 3))",
                "dice(torch.ones(1, 2, 3), torch.zeros(1, 2, 3))",
            ),
        ),
        Leaves(
            source="""
                def f(x, sizes):
                    return [part * 2 for part in x.split(sizes.tolist())]
            """,
            calls=("f(torch.arange(3.0), torch.tensor([2, 1]))",),
        ),
        Leaves(
            source="""
                def f(x, t):
                    return x * 2, t.tolist()
            """,
            calls=("f(torch.arange(3.0), torch.tensor([2, 1]))",),
        ),
    )


def _range(module: Module, node: ast.expr) -> tuple[str, dict[str, ast.expr]] | None:
    """`list(range(2, n))` for `torch.arange(2, n)`: template and parts."""
    if not isinstance(node, ast.Call) or module.analysis.meaning(node.func) != "torch.arange" or not node.args:
        return None
    if any(one.arg != "device" for one in node.keywords) or any(isinstance(one, ast.Starred) for one in node.args):
        return None
    parts = {f"part{number}": one for number, one in enumerate(node.args)}
    return f"list(range({', '.join(f'{{{name}}}' for name in parts)}))", parts


def _copied(site: Site, call: ast.Call, text: str, tensor: ast.expr) -> Rewrite | None:
    """`torch.tensor(t.tolist(), …)` as a copy of the tensor."""
    if any(keyword.arg not in ("dtype", "device") for keyword in call.keywords):
        return None
    given = ", ".join(f"{one.arg}={{{one.arg}}}" for one in call.keywords)
    copied = f"{text}.to({given}, copy=True)" if given else f"{text}.clone()"
    parts = {str(one.arg): one.value for one in call.keywords}
    return site.replace(call, copied, tensor=tensor, **parts)


def _cut_to(module: Module, call: ast.Call) -> Iterator[ast.Subscript]:
    """What is cut to a length among the numbers: the graph breaks there instead."""
    function = module.function_of(call)
    if function is None:
        return
    target = target_of(module, call)
    names = names_in(target) if target is not None else set()
    loops = [one for one in ast.walk(function) if isinstance(one, ast.For | ast.comprehension)]
    for loop in loops:
        if names_in(loop.iter) & names or call in ast.walk(loop.iter):
            names |= names_in(loop.target)
    for node in ast.walk(function):
        if isinstance(node, ast.Slice) and names_in(node) & names:
            yield from (one for one in module.parents(node) if isinstance(one, ast.Subscript))


def _clamps(module: Module, call: ast.Call) -> Iterator[tuple[ast.expr, str, dict[str, ast.AST]]]:
    """The clamps between a number and one of the unpacked names, each made two (see `Site.replace_each`)."""
    target, function = target_of(module, call), module.function_of(call)
    if not isinstance(target, ast.Tuple | ast.List) or function is None:
        return
    names = {one.id for one in target.elts if isinstance(one, ast.Name)}
    for node in ast.walk(function):
        if not isinstance(node, ast.Call) or (bounds := two_bounds(module, node)) is None:
            continue
        first, low, high = bounds
        tensors = [
            any(isinstance(part, ast.Name) and part.id in names for part in ast.walk(one)) for one in (low, high)
        ]
        if any(tensors) and not all(tensors):
            template, parts = as_two(node, first, "{low}", "{high}")
            yield node, template, {"low": low, "high": high, **parts}


def _takes_tensor(module: Module, node: ast.expr, depth: int = 3) -> bool:
    """Whether what takes a list can take a tensor: a loop, an index, names on the left, some builtins."""
    above = parent(module, node)
    if isinstance(above, ast.For | ast.comprehension):
        return above.iter is node
    if isinstance(above, ast.Subscript):
        return True
    if isinstance(above, ast.Call):
        return node in above.args and dotted(above.func) in _TAKE_TENSORS
    if not isinstance(above, ast.Assign | ast.AnnAssign | ast.NamedExpr):
        return False
    target, function = target_of(module, node), module.function_of(node)
    if isinstance(target, ast.Tuple | ast.List):
        return not any(isinstance(one, ast.Starred) for one in target.elts)
    if not isinstance(target, ast.Name) or function is None or not depth:
        return False
    names = [one for one in ast.walk(function) if isinstance(one, ast.Name) and one.id == target.id]
    loads = [one for one in names if isinstance(one.ctx, ast.Load)]
    return bool(loads) and all(_takes_tensor(module, one, depth - 1) for one in loads)
