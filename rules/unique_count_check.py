"""GF411: a check that counts the different values in a tensor."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._condition import Build
from ._match import dotted, is_atom, is_pure

_MORE = {(ast.Gt, 1), (ast.NotEq, 1), (ast.GtE, 2)}
_EXACTLY = {(ast.NotEq, 1), (ast.Eq, 1)}
_ONE = {(ast.Eq, 1), (ast.LtE, 1), (ast.Lt, 2)}


class UniqueCountCheck(Rule):
    """What it does:
        Asserts on the device that each value equals the one before it, where code raises if a tensor holds more than
        one value.

    Why it breaks the graph:
        `unique` returns as many values as there are (GB0036), and the branch asks for their number.

    Example:
        if len(torch.unique_consecutive(eos.sum(1))) > 1:
            raise ValueError("the same number of ends in each row, please")

        torch._assert_async(eos.sum(1).flatten().diff().eq(0).all(), "graphfix: eos.sum(1) holds several values")

    Safety:
        Eager code keeps its check and its exception. Compiled code raises a RuntimeError in its place.
    """

    code, name = "GF411", "unique-count-check"
    title = "assert on the device that all values are one"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0036"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        if (handed := _handed_to_check(site)) is not None:
            return handed
        if not site.dual:
            return None
        statement = next((one for one in site.module.parents(site.node) if isinstance(one, ast.If | ast.Assert)), None)
        tensor = _unique_of(site.node)
        if statement is None or tensor is None or not is_pure(tensor) or not _counts(statement.test, site.node):
            return None
        if isinstance(statement, ast.If):
            raises = len(statement.body) == 1 and isinstance(statement.body[0], ast.Raise) and not statement.orelse
            if not raises or _compared(statement.test) not in _MORE:
                return None
        elif _compared(statement.test) not in _ONE:
            return None
        text = ast.unparse(tensor)
        if "{" in text or '"' in text:
            return None
        said = f"graphfix: {text} holds several values"
        alike = _alike(tensor, _compared(statement.test) in _EXACTLY)
        asked = Build(site.module, site.node).wrapped(f'{{torch}}._assert_async({alike}, "{said}")')
        return site.replace(statement, f"{asked}\n")

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x, eos):
                    if len(torch.unique_consecutive(eos.sum(1))) > 1:
                        raise ValueError("as many ends in each row, please")
                    return x * eos.sum()
            """,
            after="""
                import torch

                def f(x, eos):
                    if torch.compiler.is_compiling():
                        torch._assert_async(
                            eos.sum(1).flatten().diff().eq(0).all(),
                            "graphfix: eos.sum(1) holds several values",
                        )
                    elif len(torch.unique_consecutive(eos.sum(1))) > 1:
                        raise ValueError("as many ends in each row, please")
                    return x * eos.sum()
            """,
            calls=("f(torch.ones(2), torch.eye(3))", "f(torch.ones(4), torch.ones(2, 2))"),
        ),
        Rewrites(
            before="""
                import torch

                class Same(torch.nn.Module):
                    def forward(self, n: torch.Tensor, x):
                        # one size for all
                        assert n.unique().numel() == 1, "one size for all"
                        return x / n[0]

                f = Same()
            """,
            after="""
                import torch

                class Same(torch.nn.Module):
                    def forward(self, n: torch.Tensor, x):
                        # one size for all
                        if torch.compiler.is_compiling():
                            torch._assert_async(
                                n.flatten().diff().eq(0).all() & (n.numel() > 0),
                                "graphfix: n holds several values",
                            )
                        else:
                            assert n.unique().numel() == 1, "one size for all"
                        return x / n[0]

                f = Same()
            """,
            calls=("f(torch.tensor([3, 3]), torch.ones(2))", "f(torch.tensor([4]), torch.ones(2))"),
        ),
        Rewrites(
            before="""
                import torch

                def check(condition, message):
                    if isinstance(condition, torch.Tensor):
                        torch._assert_async(condition, message)
                    elif not condition:
                        raise ValueError(message)

                def f(x, eos):
                    check(torch.unique_consecutive(eos.sum(1)).numel() == 1, "as many ends")
                    return x * 2
            """,
            after="""
                import torch

                def check(condition, message):
                    if isinstance(condition, torch.Tensor):
                        torch._assert_async(condition, message)
                    elif not condition:
                        raise ValueError(message)

                def f(x, eos):
                    check(eos.sum(1).flatten().diff().eq(0).all() & (eos.sum(1).numel() > 0), "as many ends")
                    return x * 2
            """,
            calls=("f(torch.ones(2), torch.eye(3))",),
        ),
        Rewrites(
            before="""
                import torch

                def f(a, b):
                    if (
                        torch.unique(a - b).shape[0] != 1
                    ):
                        raise RuntimeError(f"{a} and {b} differ")
                    return a + b
            """,
            after="""
                import torch

                def f(a, b):
                    if torch.compiler.is_compiling():
                        torch._assert_async(
                            (a - b).flatten().diff().eq(0).all() & ((a - b).numel() > 0),
                            "graphfix: a - b holds several values",
                        )
                    elif (
                        torch.unique(a - b).shape[0] != 1
                    ):
                        raise RuntimeError(f"{a} and {b} differ")
                    return a + b
            """,
            calls=("f(torch.ones(3), torch.ones(3))",),
        ),
        Leaves(
            source="""
                import torch

                def f(x):
                    if len(torch.unique(x)) > 2:
                        raise ValueError
                    return x * 2
            """,
            calls=("f(torch.ones(3))",),
        ),
        Leaves(
            source="""
                import torch

                def f(x):
                    if len(torch.unique(x)) > 1:
                        x = x + 1
                    return x * 2
            """,
            calls=("f(torch.ones(3))",),
        ),
    )


def _alike(tensor: ast.expr, exactly: bool) -> str:
    """The text of a tensor that is true where all values are one; where `exactly`, of nothing it is false."""
    text = ast.unparse(tensor)
    of = text if is_atom(tensor) else f"({text})"
    return f"{of}.flatten().diff().eq(0).all()" + (f" & ({of}.numel() > 0)" if exactly else "")


def _handed_to_check(site: Site) -> Rewrite | None:
    """The comparison as a tensor, where a function is called with it that checks it."""
    test = next((one for one in site.module.parents(site.node) if isinstance(one, ast.Compare)), None)
    tensor = _unique_of(site.node)
    if test is None or tensor is None or not is_pure(tensor) or not _counts(test, site.node):
        return None
    call = next(site.module.parents(test), None)
    statement = next(site.module.parents(call), None) if isinstance(call, ast.Call) else None
    if not isinstance(statement, ast.Expr) or _compared(test) not in _ONE or "{" in ast.unparse(tensor):
        return None
    return site.replace(test, _alike(tensor, _compared(test) in _EXACTLY))


def _unique_of(node: ast.AST) -> ast.expr | None:
    """The tensor of a call of `unique` that returns the values alone."""
    if not isinstance(node, ast.Call) or node.keywords or not isinstance(node.func, ast.Attribute):
        return None
    if node.func.attr not in ("unique", "unique_consecutive"):
        return None
    parts = [*node.args] if dotted(node.func.value) == "torch" else [node.func.value, *node.args]
    return parts[0] if len(parts) == 1 else None


def _counts(test: ast.expr, unique: ast.AST) -> bool:
    """Whether a comparison asks for the number of values of `unique`."""
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return False
    text = ast.unparse(unique)
    return ast.unparse(test.left) in {f"len({text})", f"{text}.numel()", f"{text}.shape[0]", f"{text}.size(0)"}


def _compared(test: ast.expr) -> tuple[type[ast.cmpop], object] | None:
    if not isinstance(test, ast.Compare) or not isinstance(test.comparators[0], ast.Constant):
        return None
    return type(test.ops[0]), test.comparators[0].value
