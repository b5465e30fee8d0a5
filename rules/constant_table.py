"""GF519: a table that NumPy computes of Python's numbers in compiled code."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from graphfix.model import Assumption
from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import FUNCTIONS, Module
from graphfix.source.text import literal
from graphfix.source.values import Kind

from ._hoist import defined_above
from ._match import dotted, is_text, last_value, meaning

_LIBRARIES = ("numpy.", "scipy.", "librosa.filters.", "np.")
_ALSO = ("math.", "torch.from_numpy", "torch.tensor", "torch.as_tensor", "torch.FloatTensor")
_OTHER_EACH_TIME = re.compile(r"\.(random|save\w*|load\w*|memmap|fromfile|tofile|genfromtxt|empty\w*|io)\b")
_BUILTINS = frozenset(
    "abs all any bool dict enumerate float int isinstance len list max min pow range reversed round set sorted str sum "
    "tuple zip".split()
)
_NAME = "_table"
_ERRORS = frozenset(
    name for name, one in vars(builtins).items() if isinstance(one, type) and issubclass(one, Exception)
)


class ConstantTable(Rule):
    """What it does:
        Marks a function that computes a table with NumPy or SciPy, of nothing but numbers and strings that it is given,
        as one whose result is constant: Dynamo calls it while it traces. Such an expression becomes a function first.

    Why it breaks the graph:
        Dynamo traces NumPy as operations on tensors, and knows only part of it: interpolation, polynomials and the
        like are missing (GB0294), and so is all of SciPy.

    Example:
        def window(size):
            return np.interp(np.arange(size), [0, 1, size], [0.0, 1.0, 0.0])

        @torch.compiler.assume_constant_result
        def window(size):
            return np.interp(np.arange(size), [0, 1, size], [0.0, 1.0, 0.0])

    Safety:
        Proven. Eager is unchanged. Only for functions that read nothing but their arguments and constants, and whose
        arguments are no objects: compiled code keeps the result for the arguments that it was traced with, and is
        compiled again for others.
    """

    code, name = "GF519", "constant-table"
    title = "compute the table while the graph is traced"
    safety = Safety.PROVEN
    repairs = frozenset("GB0294 GB0007 GB0059 GB0109 GB0142 GB0156 GB0208 GB0033".split())

    def rewrites(self, site: Site) -> Iterator[Rewrite | None]:
        place: Site | None = site
        while place is not None:
            function = place.module.function_of(place.node)
            if isinstance(function, ast.FunctionDef) and _is_table(place.module, function, ()):
                given = function.args
                names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
                first = next((one for one in function.body if not is_text(one)), function.body[0])
                if _are_plain(place, first, names):
                    yield _marked(place, function)
                return
            place = place.around
        if isinstance(site.node, ast.expr):
            yield _hoisted(site, site.node)

    cases = (
        Rewrites(
            before="""
                import numpy as np
                import torch

                BETA = 8.0


                def window(name: str, size: int) -> np.ndarray:
                    if name == "attack":
                        return np.interp(np.arange(size), [0, 1, size], [0.0, BETA, 0.0])
                    raise ValueError(f"no window {name!r}")


                class Frames(torch.nn.Module):
                    def __init__(self, size):
                        super().__init__()
                        self.size = size

                    def forward(self, x):
                        return x.unfold(-1, self.size, 2) * torch.from_numpy(window("attack", self.size))


                f = Frames(4)
            """,
            after="""
                import numpy as np
                import torch

                BETA = 8.0


                @torch.compiler.assume_constant_result
                def window(name: str, size: int) -> np.ndarray:
                    if name == "attack":
                        return np.interp(np.arange(size), [0, 1, size], [0.0, BETA, 0.0])
                    raise ValueError(f"no window {name!r}")


                class Frames(torch.nn.Module):
                    def __init__(self, size):
                        super().__init__()
                        self.size = size

                    def forward(self, x):
                        return x.unfold(-1, self.size, 2) * torch.from_numpy(window("attack", self.size))


                f = Frames(4)
            """,
            calls=("f(torch.ones(8))", "f(torch.rand(2, 12))"),
        ),
        Rewrites(
            before="""
                import numpy as np
                import torch


                class Frames(torch.nn.Module):
                    def __init__(self, size):
                        super().__init__()
                        self.size = size

                    def forward(self, x):
                        window = torch.from_numpy(np.poly(np.arange(self.size - 1)) / 2)  # not normalised
                        return x.unfold(-1, self.size, 2) * window


                f = Frames(4)
            """,
            after="""
                import numpy as np
                import torch


                @torch.compiler.assume_constant_result
                def _table(size):
                    return torch.from_numpy(np.poly(np.arange(size - 1)) / 2)


                class Frames(torch.nn.Module):
                    def __init__(self, size):
                        super().__init__()
                        self.size = size

                    def forward(self, x):
                        window = _table(self.size)  # not normalised
                        return x.unfold(-1, self.size, 2) * window


                f = Frames(4)
            """,
            calls=("f(torch.ones(8))", "f(torch.rand(2, 12))"),
        ),
        Leaves(
            source="""
                import numpy as np

                def noise(size):
                    return np.random.standard_cauchy(size)

                def f(x):
                    return x * noise(3)
            """,
            calls=("f(torch.ones(3))",),
        ),
        Leaves(
            source="""
                import numpy as np
                import torch

                def roots(x: torch.Tensor):
                    return np.poly(x.numpy())

                def f(x: torch.Tensor):
                    return x * torch.from_numpy(roots(x))[1:]
            """,
            calls=("f(torch.ones(3))",),
        ),
        Leaves(
            source="""
                import numpy as np

                def f(x):
                    values = x.numpy()
                    return x / float(np.percentile(values, 90))
            """,
            calls=("f(torch.rand(5))",),
        ),
    )


def _marked(site: Site, function: ast.FunctionDef) -> Rewrite | None:
    mark = site.before(function, "{torch}.compiler.assume_constant_result")
    if mark is None:
        return None
    edits = (
        replace(one, text=f"@{one.text}") if one.text.endswith("assume_constant_result\n") else one
        for one in mark.edits
    )
    return Rewrite(tuple(edits))


def _hoisted(site: Site, node: ast.expr) -> Rewrite | None:
    """The largest expression around the node that computes a table, as a function of what it reads."""
    module, found = site.module, None
    for one in (node, *module.parents(node)):
        if not isinstance(one, ast.expr | ast.keyword):
            break
        read: list[ast.expr] = []
        if isinstance(one, ast.expr) and _reads(module, one, read) and _computes(module, one):
            found = one, read
    if found is None or re.search(rf"\b{_NAME}\b", module.text) or found[0].lineno != found[0].end_lineno:
        return None
    whole, read = found
    statement = module.enclosing(whole, ast.stmt)
    if statement is None or not _are_plain(site, statement, [ast.unparse(one) for one in read]):
        return None
    names = {ast.unparse(one): ast.unparse(one).rpartition(".")[2] for one in read}
    if len(set(names.values())) < len(names):
        return None
    line, text, at = module.line(whole.lineno).encode(), b"", whole.col_offset
    for one in sorted(read, key=lambda one: one.col_offset):
        text, at = text + line[at : one.col_offset] + names[ast.unparse(one)].encode(), one.end_col_offset or 0
    body = literal((text + line[at : whole.end_col_offset]).decode())
    head = f"def {_NAME}({', '.join(names.values())})"
    made = f"@{{torch}}.compiler.assume_constant_result\n{head}:\n    return {body}\n\n\n"
    parts = {f"part{number}": one for number, one in enumerate({ast.unparse(one): one for one in read}.values())}
    called = site.replace(whole, f"{_NAME}({', '.join(f'{{{name}}}' for name in parts)})", **parts)
    return site.together(called, defined_above(site, whole, f"def {_NAME}", made))


def _are_plain(site: Site, statement: ast.stmt, names: Iterable[str]) -> bool:
    """Whether names stand for numbers and strings, or sequences of such, whenever a statement ran on the calls."""
    plain = "(bool, int, float, complex, str, type(None))"
    held = (
        f"(type({name}) in {plain} or type({name}) in (tuple, list) and all(type(_) in {plain} for _ in {name}))"
        for name in names
    )
    return site.may_hold(Assumption(site.module.path, statement.lineno, " and ".join(held) or "True"))


def _reads(module: Module, node: ast.AST, read: list[ast.expr]) -> bool:
    """Whether an expression computes with numbers, strings and NumPy alone; `read` takes the names that it reads."""
    if isinstance(node, ast.Name | ast.Attribute) and dotted(node):
        if not _named(module, node):
            read.append(node)
            value = last_value(module, node) if isinstance(node, ast.Name) else None
            if value is not None and module.analysis.value(node).kind is Kind.UNKNOWN:
                return _reads(module, value, [])
        return not module.analysis.value(node).is_tensor
    if isinstance(node, ast.Call):
        made = isinstance(node.func, ast.Attribute) and not dotted(node.func.value)  # a method of what was computed
        if not made and not _allowed(module, node.func):
            return False
        inner = [node.func.value] if made and isinstance(node.func, ast.Attribute) else []
        return all(_reads(module, one, read) for one in (*inner, *node.args, *(word.value for word in node.keywords)))
    kinds = (
        ast.Constant
        | ast.BinOp
        | ast.UnaryOp
        | ast.Compare
        | ast.IfExp
        | ast.Tuple
        | ast.List
        | ast.Subscript
        | ast.Slice
    )
    if not isinstance(node, kinds):
        return False
    below = (one for one in ast.iter_child_nodes(node) if isinstance(one, ast.expr))
    return all(_reads(module, one, read) for one in below)


def _is_table(module: Module, function: ast.FunctionDef, outer: tuple[ast.FunctionDef, ...]) -> bool:
    """Whether a function of the module computes a table of its arguments, which are no objects, and of constants."""
    given = function.args
    if function not in module.tree.body or function.decorator_list or given.vararg or given.kwarg or function in outer:
        return False
    names = {one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)}
    inside = [part for one in function.body for part in ast.walk(one)]
    own = names | {part.id for part in inside if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load)}
    for part in inside:
        if isinstance(part, ast.Attribute) and (not isinstance(part.ctx, ast.Load) or dotted(part.value) in names):
            return False
        if isinstance(part, ast.Global | ast.Nonlocal | ast.Yield | ast.YieldFrom | ast.Await | ast.With | ast.Lambda):
            return False
        if isinstance(part, (*FUNCTIONS, ast.ClassDef)) or (isinstance(part, ast.expr) and _tensor(module, part)):
            return False
        if isinstance(part, ast.Call) and not _calls_table(module, part, own, (*outer, function)):
            return False
        if isinstance(part, ast.Name) and part.id not in own | _BUILTINS | _ERRORS and not _named(module, part):
            return False
    returns = [part for part in inside if isinstance(part, ast.Return)]
    return (
        all(one.value is not None for one in returns) and bool(returns) and (bool(outer) or _computes(module, function))
    )


def _tensor(module: Module, node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and module.analysis.value(node).is_tensor


def _calls_table(module: Module, call: ast.Call, own: set[str], outer: tuple[ast.FunctionDef, ...]) -> bool:
    """Whether a call gives the same each time: of NumPy, a builtin, a method of a local value, or such a function."""
    if isinstance(call.func, ast.Attribute) and (not dotted(call.func) or dotted(call.func).split(".")[0] in own):
        return True
    if isinstance(call.func, ast.Name) and (function := _function(module, call.func.id)) is not None:
        return _is_table(module, function, outer)
    return _allowed(module, call.func) or (isinstance(call.func, ast.Name) and call.func.id in _ERRORS)


def _function(module: Module, name: str) -> ast.FunctionDef | None:
    found = [one for one in module.tree.body if isinstance(one, ast.FunctionDef) and one.name == name]
    return found[0] if len(found) == 1 else None


def _allowed(module: Module, called: ast.expr) -> bool:
    """Whether a called name is a function that gives the same for the same arguments."""
    known = meaning(module, called)
    if isinstance(called, ast.Name) and called.id in _BUILTINS:
        return True
    return known.startswith((*_LIBRARIES, *_ALSO)) and _OTHER_EACH_TIME.search(known) is None


def _named(module: Module, node: ast.expr) -> bool:
    """Whether a chain of names is something of a library (`np.float32`, `math.pi`), a function of the module, or a
    constant of the module."""
    known = module.analysis.meaning(node)
    if known.startswith((*_LIBRARIES, "math.", "torch.")) or known in ("numpy", "math", "torch", "scipy", "librosa"):
        return True
    if not isinstance(node, ast.Name):
        return False
    bound = [
        one
        for one in ast.walk(module.tree)
        if isinstance(one, ast.Name) and one.id == node.id and not isinstance(one.ctx, ast.Load)
    ]
    statement = next(module.parents(bound[0]), None) if len(bound) == 1 else None
    constant = isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
    return (constant and statement in module.tree.body) or _function(module, node.id) is not None


def _computes(module: Module, node: ast.AST) -> bool:
    """Whether a library computes anything there."""
    calls = (one for one in ast.walk(node) if isinstance(one, ast.Call))
    return any(meaning(module, call.func).startswith(_LIBRARIES) for call in calls)
