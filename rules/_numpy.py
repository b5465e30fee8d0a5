"""What the rules on NumPy share: which names of a function hold NumPy values."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphfix.source.module import Module


def is_numpy_call(module: Module, node: ast.AST) -> bool:
    """Whether a node calls a function of NumPy itself."""
    return isinstance(node, ast.Call) and module.analysis.meaning(node.func).startswith("numpy.")


class NumpyNames:
    """The local names of a function that hold NumPy values, as far as assignments and loops show."""

    def __init__(self, module: Module, function: ast.AST) -> None:
        self._module, self._names = module, set[str]()
        nodes = [node for node in ast.walk(function) if isinstance(node, ast.Assign | ast.For | ast.comprehension)]
        for _ in range(3):  # what a later line assigns may be read by an earlier one, in a loop
            for node in nodes:
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    if isinstance(node, ast.Assign):
                        self._bind(target, node.value)
                    else:
                        self._go_over(target, node.iter)

    def _bind(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            for one, part in zip(target.elts, value.elts, strict=True):
                self._bind(one, part)
        elif self.holds(value):
            self._names |= set(_names(target))

    def _go_over(self, target: ast.expr, items: ast.expr) -> None:
        """Bind what a loop over `items` gives."""
        called = items.func.id if isinstance(items, ast.Call) and isinstance(items.func, ast.Name) else ""
        if called in ("enumerate", "reversed", "tqdm") and isinstance(items, ast.Call) and items.args:
            if called == "enumerate":
                if not isinstance(target, ast.Tuple) or len(target.elts) != 2:
                    return
                target = target.elts[1]
            self._go_over(target, items.args[0])
        elif called == "zip" and isinstance(items, ast.Call) and isinstance(target, ast.Tuple):
            for one, part in zip(target.elts, items.args, strict=False):
                self._go_over(one, part)
        else:
            self._bind(target, items)

    def holds(self, node: ast.expr) -> bool:
        """Whether an expression gives a NumPy value, or something made of one."""
        if is_numpy_call(self._module, node):
            return True
        if isinstance(node, ast.Name):
            return node.id in self._names
        if isinstance(node, ast.BinOp):
            return self.holds(node.left) or self.holds(node.right)
        if isinstance(node, ast.UnaryOp | ast.Starred):
            return self.holds(node.operand if isinstance(node, ast.UnaryOp) else node.value)
        if isinstance(node, ast.Subscript):
            return self.holds(node.value)
        if isinstance(node, ast.IfExp):
            return self.holds(node.body) or self.holds(node.orelse)
        if isinstance(node, ast.Call):
            return self._holds_call(node)
        return False

    def _holds_call(self, node: ast.Call) -> bool:
        if isinstance(node.func, ast.Attribute):
            return node.func.attr not in ("item", "tolist") and self.holds(node.func.value)
        named = isinstance(node.func, ast.Name) and node.func.id in ("max", "min", "sum", "abs", "round", "pow")
        return named and any(self.holds(one) for one in node.args)


def _names(target: ast.expr) -> Iterator[str]:
    return (node.id for node in ast.walk(target) if isinstance(node, ast.Name))
