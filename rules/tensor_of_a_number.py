"""GF510: a Python number put into a tensor and read from it again."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._match import only_value

_MAKERS = frozenset({"torch.tensor", "torch.as_tensor", "torch.IntTensor", "torch.LongTensor", "torch.FloatTensor"})


class TensorOfANumber(Rule):
    """What it does:
        Uses a Python number itself, while compiling, where code reads it from a tensor that was made of it, as the
        arguments of scripted functions are made.

    Why it breaks the graph:
        What was a constant is the content of a tensor now, and a size or an index needs its value (GB0124, GB0219).

    Example:
        sizes = torch.IntTensor([self.hidden_size])
        fused_gate(a, b, sizes[0])

        fused_gate(a, b, self.hidden_size if torch.compiler.is_compiling() else sizes[0])

    Safety:
        Proven. Eager code is what it was; a scripted function still gets its tensor. Compiled code gets the same
        number; where its dtype mattered, the comparison with eager shows it.
    """

    code, name = "GF510", "tensor-of-a-number"
    title = "use the number, not a tensor made of it, while compiling"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0124", "GB0219", "GB0033", "GB0170", "GB0059"})

    def rewrite(self, site: Site) -> Rewrite | None:
        place: Site | None = site
        for _ in range(3):  # the number may have been handed on
            if place is None:
                return None
            if found := dict(_reads(place.module, place.node)):
                template = "{number} if {torch}.compiler.is_compiling() else {read}"
                changes = [(read, template, {"number": number, "read": read}) for read, number in found.items()]
                return place.replace_each(changes)
            place = place.around
        return None

    cases = (
        Rewrites(
            before="""
                import torch

                @torch.jit.script
                def gate(a, b, channels):
                    both = a + b
                    return torch.tanh(both[:, :channels]) * torch.sigmoid(both[:, channels:])

                class Wave(torch.nn.Module):
                    def __init__(self, hidden_size=2):
                        super().__init__()
                        self.hidden_size = hidden_size

                    def forward(self, x):
                        channels = torch.IntTensor([self.hidden_size])
                        for _ in range(2):
                            y = gate(x, x.sin(), channels[0])
                        return y

                f = Wave()
            """,
            after="""
                import torch

                @torch.jit.script
                def gate(a, b, channels):
                    both = a + b
                    return torch.tanh(both[:, :channels]) * torch.sigmoid(both[:, channels:])

                class Wave(torch.nn.Module):
                    def __init__(self, hidden_size=2):
                        super().__init__()
                        self.hidden_size = hidden_size

                    def forward(self, x):
                        channels = torch.IntTensor([self.hidden_size])
                        for _ in range(2):
                            y = gate(x, x.sin(), self.hidden_size if torch.compiler.is_compiling() else channels[0])
                        return y

                f = Wave()
            """,
            calls=("f(torch.ones(2, 4))", "f(torch.ones(3, 4))"),
        ),
        Rewrites(
            before="""
                import torch as t

                def f(x, width: int):
                    n = t.tensor(width)
                    y = x.cos()
                    return y[:, : n.item()] * 2
            """,
            after="""
                import torch as t

                def f(x, width: int):
                    n = t.tensor(width)
                    y = x.cos()
                    return y[:, : width if t.compiler.is_compiling() else n.item()] * 2
            """,
            calls=("f(torch.ones(2, 4), 2)", "f(torch.ones(3, 4), 2)"),
        ),
        Rewrites(
            before="""
                import torch

                def cut(x, *, sizes):
                    first = sizes[0]
                    return x[:first]

                def f(x):
                    return cut(x.sin(), sizes=torch.LongTensor([2])) + 1
            """,
            after="""
                import torch

                def cut(x, *, sizes):
                    first = sizes[0]
                    return x[:first]

                def f(x):
                    return cut(x.sin(), sizes=[2] if torch.compiler.is_compiling() else torch.LongTensor([2])) + 1
            """,
            calls=("f(torch.ones(4))", "f(torch.ones(5))"),
        ),
        Leaves(
            source="""
                import torch

                def f(x):
                    n = torch.tensor(2)
                    n = n + 1
                    return x[: n.item()]
            """,
            calls=("f(torch.ones(4))",),
        ),
        Leaves(
            source="""
                import torch

                def f(x):
                    n = torch.tensor([x.argmax(), 1])
                    return x[: n[0].item()]
            """,
            calls=("f(torch.ones(4) + torch.arange(4))",),
        ),
    )


def _reads(module: Module, node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """What the statement around a node reads from a tensor of numbers, and the number or list it was made of."""
    statement = next((one for one in (node, *module.parents(node)) if isinstance(one, ast.stmt)), node)
    body = getattr(statement, "body", None)
    inside = {one for part in body for one in ast.walk(part)} if isinstance(body, list) else set()
    taken = set[ast.AST]()
    for one in ast.walk(statement):
        if one in inside or one in taken or not isinstance(one, ast.expr) or _is_bound(module, one):
            continue
        if (number := _number(module, one)) is not None:
            taken |= set(ast.walk(one))
            yield one, number


def _is_bound(module: Module, node: ast.expr) -> bool:
    """Whether the expression is just given a name, which is read elsewhere."""
    return isinstance(next(module.parents(node), None), ast.Assign) and _made_of(module, node) is not None


def _number(module: Module, node: ast.expr) -> ast.expr | None:
    """The number, or list of numbers, that an expression reads from a tensor made of it."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("item", "tolist"):
        return None if node.args or node.keywords else _content(module, node.func.value)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("int", "float", "bool"):
        return None
    return _content(module, node)


def _content(module: Module, node: ast.expr) -> ast.expr | None:
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        whole, index = _content(module, node.value), node.slice.value
        items = whole.elts if isinstance(whole, ast.List | ast.Tuple) else []
        return items[index] if type(index) is int and -len(items) <= index < len(items) else None
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        value = only_value(module, node)
        return _made_of(module, value) if value is not None else None
    return _made_of(module, node)


def _made_of(module: Module, node: ast.expr) -> ast.expr | None:
    """The plain numbers that a tensor is made of by a call."""
    if not isinstance(node, ast.Call) or module.analysis.meaning(node.func) not in _MAKERS or not node.args:
        return None
    content = node.args[0]
    parts = content.elts if isinstance(content, ast.List | ast.Tuple) else [content]
    if len(node.args) > 1 or not parts or not all(_is_steady(one) for one in parts):
        return None
    return content


def _is_steady(node: ast.expr) -> bool:
    """Whether an expression is a number, a name or attributes of one: the same wherever it is read."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) or (isinstance(node, ast.Constant) and isinstance(node.value, int | float))
