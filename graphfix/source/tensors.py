"""What the text alone makes certain to be a tensor: annotations, torch results, and what is computed from them."""

from __future__ import annotations

import ast
import re

from graphfix.source.module import FUNCTIONS, Module

_MAKERS = frozenset(
    """
    abs all amax amin any arange argmax argmin as_tensor bmm cat chunk clamp clone concat cos count_nonzero
    cumsum diff einsum empty empty_like eq exp eye flatten flip full full_like gather ge gt isfinite isinf isnan
    le linspace log logical_and logical_not logical_or logspace lt masked_fill matmul mean minimum maximum mm
    mul ne nonzero norm ones ones_like pow rand rand_like randint randn randn_like randperm relu roll round
    sigmoid sign sin softmax sqrt stack std sub sum tanh tensor tril triu unsqueeze var where zeros zeros_like
    """.split()
)
"""Functions of `torch` that return one tensor whatever their arguments."""

_NOT_TENSOR_METHODS = frozenset(
    """
    item tolist size dim numel nelement stride is_contiguous data_ptr get_device element_size storage numpy
    is_floating_point is_complex is_pinned type has_names split chunk unbind topk sort max min median mode
    kthvalue untyped_storage storage_offset backward register_hook cummax cummin aminmax frexp slogdet
    tensor_split
    """.split()
)
_TENSOR_ATTRIBUTES = frozenset({"T", "mT", "H", "data", "real", "imag", "grad"})
_ANNOTATION = re.compile(r"(torch\.)?(Tensor|FloatTensor|LongTensor|BoolTensor)")


def is_tensor(module: Module, node: ast.expr, depth: int = 8) -> bool:
    """Whether the expression is a tensor for certain. Follows names within their function only."""
    if depth == 0:
        return False
    if isinstance(node, ast.Name):
        return _name_is_tensor(module, node, depth - 1)
    if isinstance(node, ast.Call):
        return _call_is_tensor(module, node, depth - 1)
    if isinstance(node, ast.Compare):
        plain = not any(isinstance(op, ast.Is | ast.IsNot | ast.In | ast.NotIn) for op in node.ops)
        return plain and any(is_tensor(module, part, depth - 1) for part in (node.left, *node.comparators))
    if isinstance(node, ast.BinOp):
        return is_tensor(module, node.left, depth - 1) or is_tensor(module, node.right, depth - 1)
    if isinstance(node, ast.UnaryOp):
        return not isinstance(node.op, ast.Not) and is_tensor(module, node.operand, depth - 1)
    if isinstance(node, ast.Subscript):
        return is_tensor(module, node.value, depth - 1)
    return isinstance(node, ast.Attribute) and node.attr in _TENSOR_ATTRIBUTES and is_tensor(module, node.value, depth)


def _call_is_tensor(module: Module, node: ast.Call, depth: int) -> bool:
    if not isinstance(node.func, ast.Attribute):
        return False
    owner = node.func.value
    if isinstance(owner, ast.Name) and owner.id == "torch":
        return node.func.attr in _MAKERS
    if node.func.attr in ("max", "min") and (node.args or node.keywords):
        return False
    reduces = node.func.attr in ("max", "min")
    return (reduces or node.func.attr not in _NOT_TENSOR_METHODS) and is_tensor(module, owner, depth)


def _name_is_tensor(module: Module, node: ast.Name, depth: int) -> bool:
    function = module.function_of(node)
    if function is None:
        return False
    parameters = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    parameter = next((p for p in parameters if p.arg == node.id), None)
    if parameter is not None and not _annotated_tensor(parameter.annotation):
        return False
    bound = [n for n in ast.walk(function) if isinstance(n, ast.Name) and n.id == node.id and not _loads(n)]
    values = [_assigned_value(module, name) for name in bound]
    if parameter is None and not values:
        return False
    return all(
        value is not None and ((_mentions(value, node.id) and parameter is not None) or is_tensor(module, value, depth))
        for value in values
    )


def _loads(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Load)


def _mentions(value: ast.expr, name: str) -> bool:
    """`x = x + 1`: an update of the name, which keeps a tensor parameter a tensor where an operator makes it."""
    return isinstance(value, ast.BinOp) and any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(value))


def _assigned_value(module: Module, name: ast.Name) -> ast.expr | None:
    """The expression bound to a stored name; None for loops, `with`, unpacking and the like."""
    parent = next(module.parents(name), None)
    if isinstance(parent, ast.Assign) and name in parent.targets:
        return parent.value
    if isinstance(parent, ast.AnnAssign):
        return parent.value
    if isinstance(parent, ast.AugAssign) and parent.target is name:
        return ast.BinOp(left=ast.Name(id=name.id, ctx=ast.Load()), op=parent.op, right=parent.value)
    return None


def _annotated_tensor(annotation: ast.expr | None) -> bool:
    return annotation is not None and _ANNOTATION.fullmatch(ast.unparse(annotation).strip("'\"")) is not None


def is_compiled(module: Module, node: ast.AST) -> bool:
    """Whether the node runs inside a compiled region for all that the file shows.

    That is: in `forward` of a class derived from something named `…Module`, or under a `torch.compile` decorator.
    """
    for parent in module.parents(node):
        if isinstance(parent, FUNCTIONS):
            if any("compile" in ast.unparse(decorator) for decorator in parent.decorator_list):
                return True
            owner = next(module.parents(parent), None)
            if parent.name == "forward" and isinstance(owner, ast.ClassDef):
                return any(ast.unparse(base).endswith("Module") for base in owner.bases)
    return False
