"""What is reduced of the elements that a mask selects."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from graphfix.model import Assumption
from graphfix.rule import Site
from graphfix.source.module import Module

from ._hoist import following
from ._match import dotted

NEUTRAL = {"sum": "0", "count_nonzero": "0", "any": "0", "norm": "0", "mean": "0", "all": "1", "prod": "1",
            "max": "-{torch}.inf", "amax": "-{torch}.inf", "min": "{torch}.inf", "amin": "{torch}.inf"}  # fmt: skip
COUNTS = frozenset({"numel", "len", "shape", "size"})
EXTREMES = frozenset({"max", "min", "amax", "amin"})
LOSSES = frozenset({"mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"})
"""Losses that are zero where both sides are."""
IGNORED = "-100"
"""The label that PyTorch's cross entropy leaves out."""
_REDUCE = frozenset({"sum", "mean", "max", "min", "amax", "amin", "any", "all", "prod", "std", "var"})
ELEMENTWISE = frozenset(
    """abs square pow float double half to relu sigmoid tanh exp neg detach bool int long add sub mul div clamp
    clamp_min clamp_max log log1p sqrt sin cos round floor""".split()
)


def reduced(module: Module, node: ast.expr) -> tuple[ast.expr, ast.expr | None, str]:
    """What is reduced, the reduction of it and its name; the reduction is None where there is none."""
    inner = node
    for parent in module.parents(node):
        if isinstance(parent, ast.Attribute):
            if parent.attr == "shape":
                at = next(module.parents(parent), None)
                first = isinstance(at, ast.Subscript) and isinstance(at.slice, ast.Constant) and at.slice.value == 0
                return inner, at if first and isinstance(at, ast.expr) else None, "shape"
            continue
        if isinstance(parent, ast.BinOp | ast.UnaryOp | ast.Compare):
            inner = parent
            continue
        if not isinstance(parent, ast.Call) or parent.keywords:
            break
        kind = dotted(parent.func).rpartition(".")[2] or getattr(parent.func, "attr", "")
        method = isinstance(parent.func, ast.Attribute) and parent.func.value is inner
        given = parent.args if method else parent.args[1:]
        if kind in NEUTRAL and not given:
            return inner, parent, kind
        zero = len(given) == 1 and isinstance(given[0], ast.Constant) and given[0].value == 0
        if inner is node and ((kind in ("numel", "len") and not given) or (kind == "size" and zero)):
            return inner, parent, kind
        if kind not in ELEMENTWISE:
            break
        inner = parent
    return inner, None, ""


def over_dimension(module: Module, node: ast.expr, dimension: int) -> tuple[ast.expr, str, str] | None:
    """What reduces an expression over this dimension, how, and the arguments: `x.mean(dim=0)`, `torch.sum(x, 0)`."""
    above = next(module.parents(node), None)
    call = next(module.parents(above), None) if isinstance(above, ast.Attribute) else above
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.func.attr not in _REDUCE:
        return None
    if call.func is not above and (dotted(call.func.value) != "torch" or call.args[:1] != [node]):
        return None
    given = call.args if call.func is above else call.args[1:]
    words = {one.arg: one.value for one in call.keywords}
    dims = [*given, *(words[name] for name in ("dim", "axis") if name in words)]
    if [*map(ast.unparse, dims)] != [str(dimension)] or words.keys() - {"dim", "axis", "keepdim"}:
        return None
    if not isinstance(words.get("keepdim", ast.Constant(False)), ast.Constant):
        return None
    text = ", ".join([*map(ast.unparse, given), *(f"{name}={ast.unparse(one)}" for name, one in words.items())])
    if call.func.attr not in ("max", "min"):
        return call, call.func.attr, text
    part = next(module.parents(call), None)
    values = isinstance(part, ast.Attribute) and part.attr == "values"
    first = isinstance(part, ast.Subscript) and ast.unparse(part.slice) == "0"
    return (part, f"a{call.func.attr}", text) if isinstance(part, ast.expr) and (values or first) else None


def over_rows(module: Module, node: ast.expr) -> tuple[ast.expr, str] | None:
    """What reduces selected rows for each place in a row, and how: `rows.mean(dim=0)`, `rows.max(0)[0]` (as `amax`)."""
    found = over_dimension(module, node, 0)
    if found is None or "keepdim" in found[2] or found[1] not in ("sum", "mean", "amax", "amin"):
        return None
    return found[:2]


def count_of(module: Module, node: ast.expr) -> ast.expr | None:
    """The expression that asks how many elements or rows another has: `len(x)`, `x.numel()`, `x.shape[0]`."""
    inner, whole, kind = reduced(module, node)
    return whole if inner is node and kind in COUNTS else None


def spread_of(module: Module, node: ast.expr) -> tuple[ast.Call, str] | None:
    """`.std()` or `.var()` of all elements, and which."""
    method = next(module.parents(node), None)
    call = next(module.parents(method), None) if isinstance(method, ast.Attribute) else None
    if not isinstance(method, ast.Attribute) or method.attr not in ("std", "var") or not isinstance(call, ast.Call):
        return None
    return (call, method.attr) if call.func is method and not call.args and not call.keywords else None


def rows_reduced(kind: str, shaped: str, tensor: str, mask: str) -> str:
    """The whole tensor reduced so under a mask, which is `shaped` as `where` takes it beside the tensor."""
    text = f"{{torch}}.where({shaped}, {tensor}, {NEUTRAL[kind]}).flatten(0, {mask}.dim() - 1)"
    return f"{text}.sum(0) / {mask}.sum()" if kind == "mean" else f"{text}.{kind}(0)"


def leaves_out(site: Site, statement: ast.stmt, keeps_all: str) -> bool:
    """Whether a selection left something out on one of the target's calls, for all that is known; `keeps_all` is true
    where it does not. Whether each row stands for itself shows only then."""
    assumption = Assumption(site.module.path, statement.lineno, keeps_all)
    return site.held is None or not site.may_hold(assumption)


def element_by_element(module: Module, node: ast.expr, whole: ast.expr) -> bool:
    """Whether an expression is computed of another one element by element."""
    return reduced(module, node)[0] is whole


def deviation(kind: str, mask: str, tensor: str, count: str, given: str = "") -> str:
    """The standard deviation or variance of a tensor under a mask that broadcasts over it; over a dimension,
    where one is `given`."""
    kept = ", ".join(filter(None, (given, "keepdim=True"))) if given and "keepdim" not in given else given
    mean = f"{{torch}}.where({mask}, {tensor}, 0).sum({kept}) / {count}"
    text = f"({{torch}}.where({mask}, {tensor} - {mean}, 0) ** 2).sum({given}) / ({count} - 1).clamp(min=0)"
    return f"({text}).sqrt()" if kind == "std" else text


@dataclass(frozen=True)
class Selection:
    """A name for what is selected from a tensor, and where the name is read."""

    statement: ast.Assign
    name: str
    tensor: ast.expr
    uses: tuple[ast.Name, ...]


def uses_of(module: Module, statement: ast.Assign, name: str) -> Iterator[ast.Name]:
    """The reads of a name behind its statement, up to one of the same block that binds it anew."""
    for one in following(module, statement):
        yield from (part for part in ast.walk(one) if isinstance(part, ast.Name) and _reads(part, name))
        if isinstance(one, ast.Assign) and any(stored(part) == name for part in ast.walk(one)):
            return


def is_alone(module: Module, one: Selection) -> bool:
    """Whether every read of the name that may see the selection is among its uses."""
    function = module.function_of(one.statement)
    if function is None or not one.uses or (module.in_loop(one.statement) and names_in(one.tensor) & {one.name}):
        return False
    inside = {*one.uses, *(part for part in ast.walk(one.statement) if isinstance(part, ast.Name))}
    last = max(use.lineno for use in one.uses)
    block = {part for behind in following(module, one.statement) for part in ast.walk(behind)}
    for part in ast.walk(function):
        if isinstance(part, ast.Name) and part.id == one.name and part not in inside:
            if isinstance(part.ctx, ast.Load) and part.lineno > last and part not in block:
                return False
            if not isinstance(part.ctx, ast.Load) and one.statement.lineno < part.lineno <= last:
                around = next(module.parents(part), None)
                if not isinstance(around, ast.Assign) or around not in following(module, one.statement):
                    return False
    return True


def names_in(node: ast.AST) -> set[str]:
    """The names in an expression."""
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def stored(node: ast.AST) -> str | None:
    """The name that a node binds, None where it binds none."""
    return node.id if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load) else None


def _reads(node: ast.Name, name: str) -> bool:
    return node.id == name and isinstance(node.ctx, ast.Load)
