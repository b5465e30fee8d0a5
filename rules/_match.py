"""What the rules share: recognising log calls, pure expressions, and tests for "is any of it true"."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from graphfix.source.module import Module

LOG_METHODS = frozenset(
    """
    debug info warning warn error exception critical fatal log success trace warning_once warn_once info_once
    error_once debug_once warning_advice
    """.split()
)
_LOGGER = re.compile(r"(^|[._])(logs?|logging|loguru|\w*logger)$", re.IGNORECASE)
_WARNERS = frozenset({"warnings.warn", "warnings.warn_explicit", "warn", "warn_once", "warn_deprecated"})
_PURE_BUILTINS = frozenset(
    """
    abs all any bool dict enumerate float format getattr hasattr hex id int isinstance len list max min range
    repr round set sorted str sum tuple type zip
    """.split()
)
_PURE_METHODS = frozenset(
    """
    item tolist size dim numel any all sum mean max min std var norm abs isnan isinf isfinite float double half
    int long bool cpu cuda detach numpy to type shape count_nonzero nonzero argmax argmin unique format join
    upper lower strip split replace items keys values get eq ne lt le gt ge logical_not logical_and logical_or
    flatten view reshape squeeze unsqueeze amax amin median cumsum diff clone contiguous startswith endswith
    is_floating_point
    """.split()
)
_IMPURE_TORCH = ("rand", "normal", "bernoulli", "multinomial", "manual_seed", "set_", "seed", "save", "load", "empty")


def dotted(node: ast.expr) -> str:
    """`a.b.c` of a chain of names and attributes, empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (owner := dotted(node.value)):
        return f"{owner}.{node.attr}"
    return ""


def is_log_statement(node: ast.AST) -> bool:
    """A statement that only prints, logs or warns, with arguments that have no effect of their own."""
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        return False
    call = node.value
    is_method = isinstance(call.func, ast.Attribute) and call.func.attr in LOG_METHODS and is_logger(call.func.value)
    logs = is_method or dotted(call.func) in {"print", *_WARNERS}
    return logs and all(is_pure(value) for value in (*call.args, *(keyword.value for keyword in call.keywords)))


def is_logger(node: ast.expr) -> bool:
    """Whether an expression is named as loggers are."""
    return _LOGGER.search(dotted(node)) is not None


def only_logs(body: Sequence[ast.stmt]) -> bool:
    """Whether a block logs and does nothing else."""
    logs = [node for node in body if is_log_statement(node) or is_guarded_log(node)]
    return bool(logs) and all(node in logs or isinstance(node, ast.Pass) or is_text(node) for node in body)


def is_guarded_log(node: ast.stmt) -> bool:
    """`if not torch.compiler.is_compiling():` around log statements, as the rules leave it behind."""
    if not isinstance(node, ast.If) or node.orelse or not isinstance(node.test, ast.UnaryOp):
        return False
    asks = isinstance(node.test.operand, ast.Call) and dotted(node.test.operand.func).endswith(".is_compiling")
    return asks and all(is_log_statement(inner) for inner in node.body)


def is_text(node: ast.stmt) -> bool:
    """A string that stands alone, as comments sometimes do."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def is_pure(node: ast.AST) -> bool:
    """Whether evaluating the expression changes nothing and binds nothing, for all that its text shows."""
    for part in ast.walk(node):
        if isinstance(part, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom):
            return False
        if isinstance(part, ast.Call) and not _is_pure_call(part):
            return False
    return True


def _is_pure_call(call: ast.Call) -> bool:
    name = dotted(call.func)
    if isinstance(call.func, ast.Name):
        return name in _PURE_BUILTINS
    if name.startswith(("torch.", "math.", "np.", "numpy.")):
        last = name.rpartition(".")[2]
        return not last.endswith("_") and not last.startswith(_IMPURE_TORCH)
    return isinstance(call.func, ast.Attribute) and call.func.attr in _PURE_METHODS


def without_conversion(node: ast.expr) -> ast.expr:
    """`t` of `t.item()`, `bool(t)`, `int(t)`, `float(t)`, `t.bool()`, `t.cpu()` and their like."""
    while isinstance(node, ast.Call) and not node.keywords:
        if isinstance(node.func, ast.Attribute) and not node.args and node.func.attr in {"item", "bool", "cpu"}:
            node = node.func.value
        elif isinstance(node.func, ast.Name) and node.func.id in {"bool", "int", "float"} and len(node.args) == 1:
            node = node.args[0]
        else:
            break
    return node


def any_true(test: ast.expr) -> ast.expr | None:
    """The mask `m` of a test that holds exactly where any element of `m` is true.

    Knows `m.any()`, `torch.any(m)`, `m.sum() != 0`, `m.sum() > 0`, `m.sum() >= 1`, `m.count_nonzero() > 0`, `m.max()`
    and these through `.item()`, `bool()`, `int()`. Sums and maxima are such tests for boolean `m` only.
    """
    counted = False
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.comparators[0], ast.Constant):
        bound = test.comparators[0].value
        op = test.ops[0]
        above_zero = bound == 0 and isinstance(op, ast.NotEq | ast.Gt)
        if isinstance(bound, bool) or not (above_zero or (bound == 1 and isinstance(op, ast.GtE))):
            return None
        test, counted = test.left, True
    call = without_conversion(test)
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.keywords:
        return None
    reductions = {"sum", "count_nonzero"} if counted else {"any", "sum", "count_nonzero", "max"}
    if call.func.attr not in reductions:
        return None
    if dotted(call.func.value) == "torch":
        return call.args[0] if len(call.args) == 1 else None
    return call.func.value if not call.args else None


def is_boolean(module: Module, node: ast.expr, depth: int = 4) -> bool:
    """Whether a tensor expression is boolean for certain: comparisons, negated or joined ones, `isnan` and the like."""
    if isinstance(node, ast.Compare):
        return len(node.ops) == 1 and not isinstance(node.ops[0], ast.Is | ast.IsNot | ast.In | ast.NotIn)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert):
        return is_boolean(module, node.operand, depth)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr | ast.BitXor):
        return is_boolean(module, node.left, depth) and is_boolean(module, node.right, depth)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr in {"isnan", "isinf", "isfinite", "isneginf", "isposinf", "bool", "logical_not",
                                  "logical_and", "logical_or", "eq", "ne", "lt", "le", "gt", "ge"}  # fmt: skip
    if isinstance(node, ast.Name) and depth:
        value = only_value(module, node)
        return value is not None and is_boolean(module, value, depth - 1)
    return False


def only_value(module: Module, name: ast.Name) -> ast.expr | None:
    """What a local name stands for, where its function assigns it exactly once."""
    function = module.function_of(name)
    if function is None or any(arg.arg == name.id for arg in ast.walk(function.args) if isinstance(arg, ast.arg)):
        return None
    names = [node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == name.id]
    bound = [node for node in names if not isinstance(node.ctx, ast.Load)]
    if len(bound) != 1:
        return None
    parent = next(module.parents(bound[0]), None)
    return parent.value if isinstance(parent, ast.Assign) and parent.targets == [bound[0]] else None


def same(one: ast.AST, other: ast.AST) -> bool:
    """Whether two nodes are the same code, up to spaces and `dim=` names of the first argument."""
    return ast.dump(_plain(one)) == ast.dump(_plain(other))


def _plain(node: ast.AST) -> ast.AST:
    class Loads(ast.NodeTransformer):
        def visit_Name(self, name: ast.Name) -> ast.Name:
            return ast.Name(id=name.id, ctx=ast.Load())

        def visit_Call(self, call: ast.Call) -> ast.Call:
            self.generic_visit(call)
            if not call.args and call.keywords and call.keywords[0].arg == "dim":
                return ast.Call(func=call.func, args=[call.keywords[0].value], keywords=call.keywords[1:])
            return call

    return Loads().visit(ast.parse(ast.unparse(node), mode="eval"))  # type: ignore[no-any-return]
