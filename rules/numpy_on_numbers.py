"""GF505: NumPy functions on Python numbers."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._match import dotted, only_value
from ._reads import parent
from ._uses import target_of

_OF_SEQUENCES = {"prod": "{math}.prod", "max": "max", "amax": "max", "min": "min", "amin": "min", "sum": "sum",
                 "any": "any", "all": "all"}  # fmt: skip
_OF_NUMBERS = {
    "int64": "int", "int32": "int", "int16": "int", "intp": "int", "int_": "int", "float64": "float", "bool_": "bool",
    "isnan": "{math}.isnan", "isinf": "{math}.isinf", "isfinite": "{math}.isfinite", "sqrt": "{math}.sqrt",
    "log": "{math}.log", "log2": "{math}.log2", "log10": "{math}.log10", "exp": "{math}.exp", "abs": "abs",
    "absolute": "abs",
}  # fmt: skip
_TAKE_LISTS = frozenset({"zip", "enumerate", "reversed", "len", "list", "tuple"})
_OF_PAIRS = {"maximum": "max", "fmax": "max", "minimum": "min", "fmin": "min", "power": "pow", "gcd": "{math}.gcd"}


class NumpyOnNumbers(Rule):
    """What it does:
        Calls Python's `math.prod`, `max`, `min`, `sum`, `any`, `int` and the like where NumPy's functions are called
        on Python numbers, such as a shape; `itertools.accumulate` for a `cumsum` that is only looped over and indexed.

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
        Rewrites(
            before="""
                import numpy as np

                def f(x, sizes: list[int]):
                    starts = np.cumsum([0, *sizes])
                    parts = []
                    for at, size in zip(starts, sizes):  # one after the other
                        parts.append(x.narrow(0, at, size).sum())
                    return parts, x[: starts[1:][-1]]
            """,
            after="""
                import itertools

                import numpy as np

                def f(x, sizes: list[int]):
                    starts = list(itertools.accumulate([0, *sizes]))
                    parts = []
                    for at, size in zip(starts, sizes):  # one after the other
                        parts.append(x.narrow(0, at, size).sum())
                    return parts, x[: starts[1:][-1]]
            """,
            calls=("f(torch.arange(7.0), [2, 1])", "f(torch.arange(7.0), [3, 3])"),
        ),
        Leaves(
            source="""
                import numpy as np

                def f(x, sizes: list[int]):
                    ends = np.cumsum(sizes)
                    return [x[start:end] * 2 for start, end in zip(ends - sizes, ends)]
            """,
            calls=("f(torch.arange(7.0), [2, 1])",),
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
            for value in _behind(site.module, node) if isinstance(node, ast.Name) else [node]:
                yield from (one for one in ast.walk(value) if isinstance(one, ast.Call))


def _behind(module: Module, name: ast.Name) -> list[ast.expr]:
    """What a local name stands for; of a loop's name, what is looped over, and what the names there stand for."""
    if (value := only_value(module, name)) is not None:
        return [value]
    for above in module.parents(name):
        if isinstance(above, ast.For) and any(
            isinstance(one, ast.Name) and one.id == name.id for one in ast.walk(above.target)
        ):
            read = [one for one in ast.walk(above.iter) if isinstance(one, ast.Name)]
            return [above.iter, *filter(None, (only_value(module, one) for one in read))]
    return []


def _change(module: Module, call: ast.Call) -> tuple[str, dict[str, ast.expr]] | None:
    """What to put in place of a call, None where it is another function or is told more than its numbers."""
    package, _, function = module.analysis.meaning(call.func).rpartition(".")
    if package != "numpy" or call.keywords or any(isinstance(one, ast.Starred) for one in call.args):
        return None
    if any(module.analysis.tensor(one) is not None or _is_array(module, one) for one in call.args):
        return None
    if len(call.args) == 1 and (new := _OF_SEQUENCES.get(function) or _OF_NUMBERS.get(function)):
        return f"{new}({{number}})", {"number": call.args[0]}
    if len(call.args) == 1 and function == "cumsum" and _serves_as_list(module, call):
        return "list({itertools}.accumulate({numbers}))", {"numbers": call.args[0]}
    if len(call.args) == 2 and (new := _OF_PAIRS.get(function)):
        return f"{new}({{one}}, {{other}})", {"one": call.args[0], "other": call.args[1]}
    return None


def _is_array(module: Module, node: ast.expr) -> bool:
    """Whether an expression is an array of NumPy by its text."""
    return any(isinstance(one, ast.Attribute) and one.attr in ("numpy", "data") for one in ast.walk(node))


def _serves_as_list(module: Module, node: ast.expr) -> bool:
    """Whether an array is only looped over, cut and indexed, as a list can be."""
    above = parent(module, node)
    if isinstance(above, ast.For | ast.comprehension):
        return above.iter is node
    if isinstance(above, ast.Subscript):
        if above.value is not node or not isinstance(above.ctx, ast.Load) or isinstance(above.slice, ast.Tuple):
            return False
        return not isinstance(above.slice, ast.Slice) or _serves_as_list(module, above)
    if isinstance(above, ast.Call):
        return node in above.args and dotted(above.func) in _TAKE_LISTS
    target, function = target_of(module, node), module.function_of(node)
    if not isinstance(above, ast.Assign) or not isinstance(target, ast.Name) or function is None:
        return False
    names = [one for one in ast.walk(function) if isinstance(one, ast.Name) and one.id == target.id]
    loads = [one for one in names if isinstance(one.ctx, ast.Load)]
    return len(names) == len(loads) + 1 and all(_serves_as_list(module, one) for one in loads)
