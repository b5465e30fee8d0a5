"""What a condition says of the names in it, and which conditions Dynamo decides while it traces."""

from __future__ import annotations

import ast

IS_TENSOR = "is a tensor"
IS_OTHER = "is no tensor"
IS_NONE = "is None"
IS_SOME = "is not None"

_COMPILING = frozenset({"is_compiling", "is_dynamo_compiling", "is_torchdynamo_compiling"})
_ELSEWHERE = frozenset({"is_scripting", "is_tracing", "is_jit_tracing", "is_in_onnx_export", "TYPE_CHECKING"})
"""False while Dynamo traces: they ask for TorchScript, the tracers before it, the ONNX exporter."""


def truth(test: ast.expr) -> bool | None:
    """What a condition is while Dynamo traces, None where that is open."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = truth(test.operand)
        return None if inner is None else not inner
    if isinstance(test, ast.BoolOp):
        ends = isinstance(test.op, ast.Or)
        parts = [truth(part) for part in test.values]
        if ends in parts:
            return ends
        return None if None in parts else not ends
    node = test.func if isinstance(test, ast.Call) else test
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    if name in _COMPILING and isinstance(test, ast.Call):
        return True
    if name in _ELSEWHERE:
        return False
    return bool(test.value) if isinstance(test, ast.Constant) else None


def narrowed(test: ast.expr, holds: bool) -> list[tuple[ast.Name, str]]:
    """The names of which a condition says something where it holds, or where it does not, and what it says."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return narrowed(test.operand, not holds)
    if isinstance(test, ast.BoolOp):
        says = isinstance(test.op, ast.And) is holds
        return [one for part in test.values for one in narrowed(part, holds)] if says else []
    if isinstance(test, ast.Compare):
        return _compared(test, holds)
    return _checked(test, holds) if isinstance(test, ast.Call) else []


def _compared(test: ast.Compare, holds: bool) -> list[tuple[ast.Name, str]]:
    other = test.comparators[0]
    if not isinstance(test.left, ast.Name) or not isinstance(other, ast.Constant) or other.value is not None:
        return []
    if not isinstance(test.ops[0], ast.Is | ast.IsNot | ast.Eq | ast.NotEq):
        return []
    is_none = isinstance(test.ops[0], ast.Is | ast.Eq) is holds
    return [(test.left, IS_NONE if is_none else IS_SOME)]


def _checked(test: ast.Call, holds: bool) -> list[tuple[ast.Name, str]]:
    if not test.args or not isinstance(test.args[0], ast.Name):
        return []
    name = test.args[0]
    if isinstance(test.func, ast.Attribute) and test.func.attr == "is_tensor":
        return [(name, IS_TENSOR if holds else IS_OTHER)]
    if not isinstance(test.func, ast.Name) or test.func.id != "isinstance" or len(test.args) != 2:
        return []
    kinds = test.args[1].elts if isinstance(test.args[1], ast.Tuple) else [test.args[1]]
    tensors = [_is_tensor_class(kind) for kind in kinds]
    if not any(tensors):
        return [(name, IS_OTHER)] if holds else []
    if not holds:
        return [(name, IS_OTHER)]
    return [(name, IS_TENSOR)] if all(tensors) else []


def _is_tensor_class(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name.endswith("Tensor") or name == "Parameter"
