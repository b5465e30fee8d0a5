"""GF505: NumPy functions on Python numbers."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._match import only_value

_OF_SEQUENCES = {"prod": "{math}.prod", "max": "max", "amax": "max", "min": "min", "amin": "min", "sum": "sum",
                 "any": "any", "all": "all"}  # fmt: skip
_OF_NUMBERS = {
    "int64": "int", "int32": "int", "int16": "int", "intp": "int", "int_": "int", "float64": "float", "bool_": "bool",
    "isnan": "{math}.isnan", "isinf": "{math}.isinf", "isfinite": "{math}.isfinite", "sqrt": "{math}.sqrt",
    "log": "{math}.log", "log2": "{math}.log2", "log10": "{math}.log10", "exp": "{math}.exp", "abs": "abs",
    "absolute": "abs",
}  # fmt: skip
_OF_PAIRS = {"maximum": "max", "fmax": "max", "minimum": "min", "fmin": "min", "power": "pow", "gcd": "{math}.gcd"}


class NumpyOnNumbers(Rule):
    """What it does:
        Calls Python's `math.prod`, `max`, `min`, `sum`, `any`, `int` and the like where NumPy's functions are called
        on Python numbers, such as a shape.

    Why it breaks the graph:
        Dynamo takes the result for a tensor. Where its value is needed (a size, an index, a condition, `int()`), it has
        none while the graph is built (GB0033, GB0170, GB0208).

    Example:
        x.reshape(np.prod(x.shape[:2]), -1)
        x.reshape(math.prod(x.shape[:2]), -1)

    Safety:
        Proven. The value is the same, its type is Python's. Integers that overflow in NumPy do not in Python; where
        eager shows a difference, the dual form is used.
    """

    code, name = "GF505", "numpy-on-numbers"
    title = "call Python's function on Python's numbers, not NumPy's"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0033", "GB0170", "GB0208", "GB0007", "GB0059", "GB0219", "GB0124", "GB0036"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        changes = {call: change for call in _calls(site) if (change := _change(site.module, call)) is not None}
        inner = {one for call in changes for one in ast.walk(call) if one is not call}
        wanted = [(call, *change) for call, change in changes.items() if call not in inner]
        return site.replace_each(wanted) if wanted else None

    cases = (
        Rewrites(
            before="""
                import numpy as np
                import torch

                def f(x):
                    rows = int(np.prod(x.shape[:2]))  # all of them
                    return x.reshape(rows, -1) * 2
            """,
            after="""
                import math

                import numpy as np
                import torch

                def f(x):
                    rows = int(math.prod(x.shape[:2]))  # all of them
                    return x.reshape(rows, -1) * 2
            """,
            calls=("f(torch.ones(2, 3, 4))", "f(torch.ones(3, 5, 4))"),
        ),
        Rewrites(
            before="""
                import math

                import numpy
                import torch

                class Pool(torch.nn.Module):
                    def __init__(self, sizes=(2, 3)):
                        super().__init__()
                        self.sizes = sizes

                    def forward(self, x):
                        most = numpy.max(self.sizes)
                        y = x[:, : numpy.maximum(most, x.shape[1] - 2)]
                        return y.mean(-1)

                f = Pool()
            """,
            after="""
                import math

                import numpy
                import torch

                class Pool(torch.nn.Module):
                    def __init__(self, sizes=(2, 3)):
                        super().__init__()
                        self.sizes = sizes

                    def forward(self, x):
                        most = max(self.sizes)
                        y = x[:, : max(most, x.shape[1] - 2)]
                        return y.mean(-1)

                f = Pool()
            """,
            calls=("f(torch.ones(2, 4))", "f(torch.ones(2, 7))"),
        ),
        Rewrites(
            before="""
                import numpy as np
                import torch

                def f(x, parts: list[int], scale: float = 1.0):
                    if np.isnan(scale):
                        return x
                    y = x[:, : np.int64(2)] + x[:, : np.sum(parts)]
                    return y * scale
            """,
            after="""
                import math

                import numpy as np
                import torch

                def f(x, parts: list[int], scale: float = 1.0):
                    if math.isnan(scale):
                        return x
                    y = x[:, : int(2)] + x[:, : sum(parts)]
                    return y * scale
            """,
            calls=("f(torch.ones(2, 4), [1, 1])", "f(torch.ones(3, 4), [1, 1])"),
        ),
        Leaves(
            source="""
                import numpy as np
                import torch

                def f(x):
                    return x.reshape(int(np.prod(x.shape, axis=0)))
            """,
            calls=("f(torch.ones(2, 3))", "f(torch.ones(3, 3))"),
        ),
        Leaves(
            source="""
                import numpy as np
                import torch

                def f(x, n):
                    y = torch.from_numpy(np.sqrt(x.numpy()))
                    return y[: int(n)]
            """,
            calls=("f(torch.ones(4), torch.tensor(2))",),
        ),
    )


def _calls(site: Site) -> Iterator[ast.Call]:
    """The calls of the statement at the site, and those behind the names that it reads."""
    statement = site.enclosing(ast.stmt) or site.node
    body = getattr(statement, "body", None)
    inside = {one for part in body for one in ast.walk(part)} if isinstance(body, list) else set()
    for node in ast.walk(statement):
        if node not in inside:
            value = only_value(site.module, node) if isinstance(node, ast.Name) else node
            yield from (one for one in ast.walk(value) if isinstance(one, ast.Call)) if value is not None else ()


def _change(module: Module, call: ast.Call) -> tuple[str, dict[str, ast.expr]] | None:
    """What to put in place of a call, None where it is another function or is told more than its numbers."""
    package, _, function = module.analysis.meaning(call.func).rpartition(".")
    if package != "numpy" or call.keywords or any(isinstance(one, ast.Starred) for one in call.args):
        return None
    if any(module.analysis.tensor(one) is not None or _is_array(module, one) for one in call.args):
        return None
    if len(call.args) == 1 and (new := _OF_SEQUENCES.get(function) or _OF_NUMBERS.get(function)):
        return f"{new}({{number}})", {"number": call.args[0]}
    if len(call.args) == 2 and (new := _OF_PAIRS.get(function)):
        return f"{new}({{one}}, {{other}})", {"one": call.args[0], "other": call.args[1]}
    return None


def _is_array(module: Module, node: ast.expr) -> bool:
    """Whether an expression is an array of NumPy by its text."""
    return any(isinstance(one, ast.Attribute) and one.attr in ("numpy", "data") for one in ast.walk(node))
