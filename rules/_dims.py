"""What a text shows of one tensor: that it has no dimensions, that it carries no gradient, what it is a view of."""

from __future__ import annotations

import ast

from graphfix.source.module import Module

from ._match import dotted, is_boolean, only_value

_REDUCTIONS = frozenset(
    """
    sum mean max min amax amin prod norm std var median any all argmax argmin count_nonzero nansum nanmean dist
    """.split()
)
"""Methods of a tensor, and functions of torch, that give one number where no dimension is named."""
_LOSSES = frozenset(
    "mse_loss l1_loss smooth_l1_loss huber_loss cross_entropy nll_loss kl_div binary_cross_entropy "
    "binary_cross_entropy_with_logits".split()
)
_KEEP_DIMS = frozenset(
    """
    abs sqrt rsqrt exp log log2 log10 log1p floor ceil round trunc float double half long int bool bfloat16 to cpu
    cuda detach clone clamp clamp_min clamp_max clip neg square pow sign reciprocal sigmoid tanh relu type type_as
    contiguous add sub mul div isnan isinf isfinite item
    """.split()
)
_INTEGERS = frozenset("long int short argmax argmin count_nonzero any all bool arange randint nonzero".split())
_VIEWS = frozenset("detach view reshape squeeze unsqueeze flatten select expand t transpose contiguous data".split())


def has_no_dims(module: Module, node: ast.expr, depth: int = 6) -> bool:
    """Whether the text makes certain that a tensor expression has no dimensions (or is a number)."""
    if not depth:
        return False
    if isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.BinOp):
        return has_no_dims(module, node.left, depth - 1) and has_no_dims(module, node.right, depth - 1)
    if isinstance(node, ast.UnaryOp):
        return has_no_dims(module, node.operand, depth - 1)
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return all(has_no_dims(module, one, depth - 1) for one in (node.left, node.comparators[0]))
    if isinstance(node, ast.Name):
        value = only_value(module, node)
        return value is not None and has_no_dims(module, value, depth - 1)
    return isinstance(node, ast.Call) and _gives_no_dims(module, node, depth)


def _gives_no_dims(module: Module, call: ast.Call, depth: int) -> bool:
    name = module.analysis.meaning(call.func) or dotted(call.func)
    owner, _, last = name.rpartition(".")
    keywords = {keyword.arg for keyword in call.keywords}
    if owner == "torch.nn.functional":
        return last in _LOSSES and "reduction" not in keywords
    if owner == "torch":
        if last in ("tensor", "as_tensor", "scalar_tensor"):
            return bool(call.args) and isinstance(call.args[0], ast.Constant | ast.UnaryOp)
        if last in _REDUCTIONS:
            return len(call.args) == 1 and keywords <= {"dtype"}
        return last in _KEEP_DIMS and bool(call.args) and all(has_no_dims(module, one, depth - 1) for one in call.args)
    if not isinstance(call.func, ast.Attribute):
        return False
    if call.func.attr in _REDUCTIONS:
        return not call.args and keywords <= {"dtype"}
    if call.func.attr == "reshape":
        return len(call.args) == 1 and isinstance(call.args[0], ast.Tuple) and not call.args[0].elts
    return call.func.attr in _KEEP_DIMS and has_no_dims(module, call.func.value, depth - 1)


def has_no_gradient(module: Module, node: ast.expr, depth: int = 6) -> bool:
    """Whether the text makes certain that no gradient flows through a tensor expression."""
    if is_boolean(module, node):
        return True
    if isinstance(node, ast.Name) and depth:
        value = only_value(module, node)
        return value is not None and has_no_gradient(module, value, depth - 1)
    if isinstance(node, ast.Subscript):
        return has_no_gradient(module, node.value, depth)
    if not isinstance(node, ast.Call):
        return False
    last = dotted(node.func).rpartition(".")[2] or getattr(node.func, "attr", "")
    if last in _INTEGERS or last == "detach":
        return True
    if isinstance(node.func, ast.Attribute) and depth:
        keeps = last in _KEEP_DIMS or last in _REDUCTIONS or last in _VIEWS
        return keeps and has_no_gradient(module, node.func.value, depth - 1)
    return False


def owner_of(node: ast.expr) -> str:
    """The dotted name of the tensor that an expression is, or may be a view of; empty where it is a new one."""
    while True:
        if isinstance(node, ast.Subscript):
            node = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _VIEWS:
            node = node.func.value
        elif isinstance(node, ast.Attribute) and node.attr in ("data", "T", "mT"):
            node = node.value
        else:
            return dotted(node)


def changes_in_place(node: ast.AST, owner: str) -> bool:
    """Whether code stores into the tensor named, or into a part of it."""
    for one in ast.walk(node):
        if isinstance(one, ast.AugAssign) and owner_of(one.target) == owner:
            return True
        if isinstance(one, ast.Subscript) and not isinstance(one.ctx, ast.Load) and owner_of(one) == owner:
            return True
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute):
            in_place = one.func.attr.endswith("_") and not one.func.attr.startswith("_")
            if in_place and owner_of(one.func.value) == owner:
                return True
    return False
