"""What an annotation says of a value."""

from __future__ import annotations

import ast
from collections.abc import Callable

from graphfix.source import torch_api as api
from graphfix.source.values import NONE, PLAIN, SIZE, TENSOR, TENSORS, UNKNOWN, Kind, Value, joined, sequence

_PLAIN = frozenset({"int", "float", "bool", "str", "bytes", "complex", "dtype", "device", "Number"})
_SEQUENCES = frozenset({"list", "List", "Sequence", "Iterable", "Iterator"})


def annotated(node: ast.expr, meaning: Callable[[ast.expr], str]) -> Value:
    """The value that an annotation promises; `meaning` gives the qualified name of a chain of names."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            return _text(node.value, meaning)
        return NONE if node.value is None else UNKNOWN
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _either([annotated(node.left, meaning), annotated(node.right, meaning)])
    if isinstance(node, ast.Subscript):
        return _generic(node, meaning)
    return _class(meaning(node)) if isinstance(node, ast.Name | ast.Attribute) else UNKNOWN


def _text(text: str, meaning: Callable[[ast.expr], str]) -> Value:
    try:
        return annotated(ast.parse(text, mode="eval").body, meaning)
    except (SyntaxError, ValueError):
        return UNKNOWN


def _class(name: str) -> Value:
    owner, _, last = name.rpartition(".")
    if last in api.CLASSES and (owner.startswith("torch") or owner == "jaxtyping"):
        return Value(Kind.TENSOR, boolean=last == "BoolTensor")
    if name in _PLAIN or (owner == "torch" and last in _PLAIN):
        return PLAIN
    return SIZE if name == "torch.Size" else UNKNOWN


def _generic(node: ast.Subscript, meaning: Callable[[ast.expr], str]) -> Value:
    name = meaning(node.value).rpartition(".")[2]
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name == "Optional":
        return joined((annotated(parts[0], meaning), NONE))
    if name == "Union":
        return _either([annotated(part, meaning) for part in parts])
    if name == "Annotated" or (
        name in ("Float", "Int", "Bool") and len(parts) == 2
    ):  # jaxtyping's Float[Tensor, "b c"]
        return annotated(parts[0], meaning)
    if name in _SEQUENCES or (name in ("tuple", "Tuple") and len(parts) == 2 and _is_ellipsis(parts[1])):
        element = annotated(parts[0], meaning)
        if element.kind is Kind.TENSOR and not element.optional:
            return TENSORS if element.sure else TENSORS.unsure
        return SIZE if element.kind is Kind.PLAIN else UNKNOWN
    if name in ("tuple", "Tuple"):
        return sequence(annotated(part, meaning) for part in parts)
    return UNKNOWN


def _either(values: list[Value]) -> Value:
    """A union: a tensor among other things is one only perhaps."""
    some = [value for value in values if value.kind is not Kind.NONE]
    whole = joined(some)
    if whole.kind is Kind.UNKNOWN and any(value.kind is Kind.TENSOR for value in some):
        whole = TENSOR.unsure
    return whole if len(some) == len(values) else joined((whole, NONE)) if whole.kind is not Kind.UNKNOWN else UNKNOWN


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...
