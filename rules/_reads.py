"""Numbers read out of tensors, and the expressions that compute with them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from graphfix.source.module import Module
from graphfix.source.values import Kind

from ._match import dotted

CONVERSIONS = {"int": "long", "float": "float", "bool": "bool"}
"""Python's conversions, and the methods of a tensor that do the same."""
MATH = {
    name: name
    for name in """
    sqrt exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf erfc
    isnan isinf isfinite fabs degrees radians hypot fmod copysign atan2 ldexp lgamma floor ceil trunc
    """.split()
} | {"fabs": "abs", "degrees": "rad2deg", "radians": "deg2rad", "pow": "pow"}
"""Functions of `math`, and those of torch that do the same."""
TRANSPARENT = frozenset({"abs", "max", "min", "round", *CONVERSIONS})
_HOST_MOVES = frozenset({"cpu", "numpy", "detach"})
MOVES = frozenset({"tolist", *_HOST_MOVES})
"""Methods that move a tensor to the host, or cut off its gradient before that."""


def without_host_moves(node: ast.expr) -> ast.expr:
    """`t` of `t.tolist()`, `t.cpu().numpy()` and their like."""
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr not in MOVES:
            break
        node = node.func.value
    return node


@dataclass(frozen=True, slots=True)
class Read:
    """A call that reads a number out of `tensor`: `t.item()`, or `int(t)` where `conversion` is `int`."""

    node: ast.expr
    tensor: ast.expr
    conversion: str = ""


def read_at(module: Module, node: ast.AST, sure: bool = True) -> Read | None:
    """The read that a node is. `sure`: Dynamo names it, so that `int(x)` needs no other sign that `x` is a tensor."""
    if not isinstance(node, ast.Call) or node.keywords:
        return None
    if isinstance(node.func, ast.Attribute) and node.func.attr in ("item", "tolist", "is_nonzero") and not node.args:
        if node.func.attr != "item":
            return None
        tensor = node.func.value
        while (
            isinstance(tensor, ast.Call)
            and isinstance(tensor.func, ast.Attribute)
            and tensor.func.attr in _HOST_MOVES
            and not tensor.args
            and not tensor.keywords
        ):
            tensor = tensor.func.value
        return Read(node, tensor)
    if isinstance(node.func, ast.Name) and node.func.id in CONVERSIONS and len(node.args) == 1:
        inner = node.args[0]
        known = module.analysis.tensor(inner) is True
        if (sure or known) and not isinstance(inner, ast.Starred) and next(reads_in(module, inner), None) is None:
            return Read(node, inner, node.func.id)
    return None


def reads_in(module: Module, node: ast.AST) -> Iterator[Read]:
    """The reads below a node that its text makes certain."""
    for one in ast.walk(node):
        if isinstance(one, ast.Call) and (found := read_at(module, one, sure=False)) is not None:
            yield found


def parent(module: Module, node: ast.AST) -> ast.AST | None:
    """The node around another."""
    return next(module.parents(node), None)


def math_function(module: Module, call: ast.AST) -> str:
    """`sqrt` of a call of `math.sqrt` with plain arguments, empty for other calls."""
    if not isinstance(call, ast.Call) or call.keywords or any(isinstance(one, ast.Starred) for one in call.args):
        return ""
    owner, _, name = module.analysis.meaning(call.func).rpartition(".")
    return name if owner == "math" and name in MATH else ""


def number_around(module: Module, node: ast.expr) -> ast.expr:
    """The largest expression around a number that computes with it: arithmetic, a comparison, `int()`, `math.f()`."""
    while (above := parent(module, node)) is not None:
        arithmetic = isinstance(above, ast.BinOp) or (
            isinstance(above, ast.UnaryOp) and not isinstance(above.op, ast.Not)
        )
        compares = isinstance(above, ast.Compare) and len(above.ops) == 1 and not isinstance(above.ops[0], _IDENTITY)
        chooses = isinstance(above, ast.IfExp) and node is not above.test
        if not (arithmetic or compares or chooses or (isinstance(above, ast.Call) and _passes(module, above, node))):
            return node
        assert isinstance(above, ast.expr)
        node = above
    return node


_IDENTITY = (ast.Is, ast.IsNot, ast.In, ast.NotIn)


def _passes(module: Module, call: ast.Call, node: ast.expr) -> bool:
    if not any(one is node for one in call.args) or call.keywords:
        return False
    return (isinstance(call.func, ast.Name) and call.func.id in TRANSPARENT) or math_function(module, call) != ""


def is_number(module: Module, node: ast.expr, reads: tuple[ast.AST, ...] = ()) -> bool:
    """Whether an expression of numbers is one for certain: constants, reads, what the text shows to be plain."""
    if node in reads or isinstance(node, ast.Constant) or read_at(module, node, sure=False) is not None:
        return True
    if isinstance(node, ast.BinOp):
        return is_number(module, node.left, reads) and is_number(module, node.right, reads)
    if isinstance(node, ast.UnaryOp):
        return is_number(module, node.operand, reads)
    if isinstance(node, ast.Compare):
        return all(is_number(module, one, reads) for one in (node.left, *node.comparators))
    if isinstance(node, ast.IfExp):
        return is_number(module, node.body, reads) and is_number(module, node.orelse, reads)
    if isinstance(node, ast.Call) and (math_function(module, node) or dotted(node.func) in TRANSPARENT):
        return all(is_number(module, one, reads) for one in node.args)
    return module.analysis.value(node).kind is Kind.PLAIN
