"""Device-side assertions in place of `raise` and `assert`."""

from __future__ import annotations

import ast
import json


def message_of(error: ast.expr | None) -> str:
    """The literal that names an exception and its message; what is worked out at run time stands as `<code>`."""
    if error is None:
        return _literal("error")
    if isinstance(error, ast.Call):
        name = ast.unparse(error.func).rpartition(".")[2]
        told = _told(error.args[0]) if error.args else ""
        return _literal(f"{name}: {told}" if told else name)
    return _literal(ast.unparse(error).rpartition(".")[2])


def message_of_assert(told: ast.expr | None, test: ast.expr) -> str:
    """The literal for an assertion."""
    return _literal(f"AssertionError: {_told(told) if told is not None else ast.unparse(test)}")


def message_of_check(told: ast.expr | None, test: ast.expr) -> str:
    """The literal for a check that takes its message as a string or as a function that gives one."""
    body = told.body if isinstance(told, ast.Lambda) else told
    if isinstance(body, ast.Constant | ast.JoinedStr | ast.BinOp):
        return _literal(_told(body))
    return _literal(f"{ast.unparse(test)} does not hold")


def _told(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_told(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return f"<{ast.unparse(node.value)}>"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _told(node.left) + _told(node.right)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return _told(node.left)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return _told(node.func.value)
    return f"<{ast.unparse(node)}>"


def _literal(text: str) -> str:
    """A Python string, with no braces that a template would take for a slot's."""
    return json.dumps(" ".join(text.replace("{", "<").replace("}", ">").split()), ensure_ascii=False)
