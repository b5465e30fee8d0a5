"""What becomes of a number: whether all that takes it can take a tensor."""

from __future__ import annotations

import ast

from graphfix.source.module import Module

from ._match import dotted, is_logger
from ._reads import is_number, number_around, parent

NEEDS_NUMBERS = frozenset(
    """
    range zeros ones empty rand randn eye arange view reshape expand repeat tile roll narrow chunk split unflatten
    new_zeros new_ones new_empty topk pad print len isinstance getattr setattr append extend dropout interpolate
    repeat_interleave one_hot randint randperm linspace format randn_like manual_seed
    """.split()
)
"""Functions and methods whose numbers are shapes, or go to the host."""
_MAKERS = frozenset({"tensor", "as_tensor", "new_tensor", "scalar_tensor"})
_FULL = frozenset({"full", "full_like", "new_full"})


def use_of(module: Module, node: ast.expr) -> str:
    """What becomes of an expression's value.

    `name`, `return`, `store` (into a part of a tensor), `in-place` (`x += …`), `argument`, `maker` (`torch.tensor(…)`),
    `full`, `index`, `bound` (of a slice), `assert`, `method` (of the value), `message`, `test` (of a branch); `host`
    where only Python can take it, or where this module does not know.
    """
    above = parent(module, node)
    if isinstance(above, ast.keyword):
        if above.arg in ("alpha", "beta"):  # of torch.add and its like: numbers only
            return "host"
        above = parent(module, above)
    if isinstance(above, ast.Starred | ast.Await | ast.Yield | ast.YieldFrom):
        return "host"
    if isinstance(above, ast.Call):
        return _use_in_call(module, above, node)
    if isinstance(above, ast.Assign | ast.AnnAssign):
        return {ast.Name: "name", ast.Subscript: "store"}.get(type(target_of(module, node)), "host")
    if isinstance(above, ast.Tuple) and target_of(module, node) is not None:
        return "name"
    if isinstance(above, ast.List | ast.Tuple) and _is_made(module, above):
        return "maker"
    if isinstance(above, ast.Tuple) and isinstance(parent(module, above), ast.Subscript):
        return "index"
    if isinstance(above, ast.Tuple) and isinstance(parent(module, above), ast.Return):
        return "return"
    if isinstance(above, ast.If | ast.While | ast.IfExp | ast.BoolOp | ast.comprehension) or (
        isinstance(above, ast.UnaryOp) and isinstance(above.op, ast.Not)
    ):
        return "test"
    if isinstance(above, ast.FormattedValue):
        return "message"
    if isinstance(above, ast.Assert):
        return "assert" if above.test is node and (above.msg is None or isinstance(above.msg, ast.Constant)) else "host"
    kinds = {
        ast.NamedExpr: "name",
        ast.Return: "return",
        ast.AugAssign: "in-place",
        ast.Attribute: "method",
        ast.Subscript: "index",
        ast.Slice: "bound",
    }
    found = kinds.get(type(above), "host")
    return "host" if isinstance(above, ast.Subscript) and above.value is node else found


def _use_in_call(module: Module, call: ast.Call, node: ast.expr) -> str:
    last = (module.analysis.meaning(call.func) or dotted(call.func)).rpartition(".")[2]
    last = last or (call.func.attr if isinstance(call.func, ast.Attribute) else "")
    if last in _MAKERS:
        return "maker"
    if last in _FULL:
        return "full"
    if last in NEEDS_NUMBERS or _logs(call) or node is call.func:
        return "host"
    return "argument"


def _is_made(module: Module, numbers: ast.List | ast.Tuple) -> bool:
    """Whether a tensor is made of a list, or of one that it is joined to: `torch.tensor([a] + [b] * n)`."""
    whole: ast.expr = numbers
    while isinstance(call := parent(module, whole), ast.BinOp) and isinstance(call.op, ast.Add | ast.Mult):
        whole = call
    return isinstance(call, ast.Call) and call.args[:1] == [whole] and _use_in_call(module, call, whole) == "maker"


def _logs(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and is_logger(call.func.value)


def target_of(module: Module, node: ast.expr) -> ast.expr | None:
    """What an assignment gives the value to, if it is one target."""
    above = parent(module, node)
    if isinstance(above, ast.AnnAssign | ast.NamedExpr):
        return above.target
    if isinstance(above, ast.Assign):
        return above.targets[0] if len(above.targets) == 1 else None
    outer = parent(module, above) if isinstance(above, ast.Tuple) else None
    if isinstance(above, ast.Tuple) and isinstance(outer, ast.Assign) and len(outer.targets) == 1:
        target = outer.targets[0]
        if isinstance(target, ast.Tuple | ast.List) and len(target.elts) == len(above.elts):
            found = target.elts[above.elts.index(node)]
            return found if isinstance(found, ast.Name) else None
    return None


_MOVES_ON: dict[str, type[ast.expr]] = {"index": ast.Subscript, "full": ast.Call, "bound": ast.Subscript}
_TAKE_TENSORS = frozenset({"name", "return", "store", "in-place", "argument", "maker", "assert", "method", "message"})
_NEED_NUMBERS = frozenset({"test", "index", "bound"})


def may_be_tensor(
    module: Module,
    whole: ast.expr,
    reads: tuple[ast.AST, ...] = (),
    tests: list[ast.expr] | None = None,
    followed: frozenset[str] = frozenset(),
) -> bool:
    """Whether what takes the value of an expression of numbers can take a tensor.

    A name that gets it is followed to its uses. `reads` are numbers though the text does not say so. Where a list of
    `tests` is given, a branch, an index or `full` may take it, too, and what is tested, indexed or called is added
    there: a graph breaks at it. `followed` are names whose uses are being looked at already.
    """
    use = use_of(module, whole)
    if use in _MOVES_ON and tests is not None:
        tests.append(next(one for one in module.parents(whole) if isinstance(one, _MOVES_ON[use])))
        return True
    if use == "test" and tests is not None:
        tests.append(whole)
        return True
    if not is_number(module, whole, reads):  # a tensor computes with the number
        return use not in _NEED_NUMBERS
    if use != "name":
        return use in _TAKE_TENSORS
    target, function = target_of(module, whole), module.function_of(whole)
    if not isinstance(target, ast.Name) or function is None:
        return False
    if target.id in followed:
        return True
    names = [one for one in ast.walk(function) if isinstance(one, ast.Name) and one.id == target.id]
    loads = [one for one in names if isinstance(one.ctx, ast.Load)]
    return bool(loads) and all(
        may_be_tensor(module, number_around(module, one), (one,), tests, followed | {target.id}) for one in loads
    )
