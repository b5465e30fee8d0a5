"""GF202: `if tensor_condition:` around nothing but log calls."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module
from graphfix.source.tensors import is_tensor

from ._match import is_pure, without_conversion
from ._tells import only_tells


class LogInTensorBranch(Rule):
    """What it does:
        Keeps a check that only prints, logs or warns out of the compiled graph, with what it works out for that alone
        (names, loops, further conditions); eager code still checks and logs.

    Why it breaks the graph:
        Whether to log depends on values in a tensor, so Dynamo has to end the graph, run the check in Python and
        begin a new graph after it (GB0170, or GB0124 for `.item()` in the condition).

    Example:
        if (token >= vocab).any():
            logger.error("token out of range")

        if not torch.compiler.is_compiling() and (token >= vocab).any():
            logger.error("token out of range")

    Safety:
        Exact. Eager evaluates the same condition and logs the same text. Compiled code is silent, and does not
        wait for the device to decide whether to speak.
    """

    code, name = "GF202", "log-in-tensor-branch"
    title = "keep a check that only logs out of the graph"
    safety = Safety.EXACT
    repairs = frozenset({"GB0170", "GB0124"})

    def find(self, module: Module) -> Iterator[Site]:
        for node in module.analysis.nodes(ast.If):
            if isinstance(node, ast.If) and _tests_tensor(module, node.test) and _is_log_check(module, node):
                yield Site(module, node)

    def rewrite(self, site: Site) -> Rewrite | None:
        branch = site.enclosing(ast.If)
        if branch is None or not _is_log_check(site.module, branch) or not _in_test(site, branch):
            return None
        if not branch.orelse:
            template = "if not {torch}.compiler.is_compiling() and {test}:\n    {body}\n"
            return site.replace(branch, template, test=branch.test, body=branch.body)
        return site.replace(branch, "if not {torch}.compiler.is_compiling():\n    {branch}\n", branch=branch)

    cases = (
        Rewrites(
            before="""
                import logging
                import torch

                logger = logging.getLogger(__name__)

                def f(token, vocab):
                    if (token >= vocab).any():
                        logger.error("token out of range: %s", token.max().item())
                    return token + 1
            """,
            after="""
                import logging
                import torch

                logger = logging.getLogger(__name__)

                def f(token, vocab):
                    if not torch.compiler.is_compiling() and (token >= vocab).any():
                        logger.error("token out of range: %s", token.max().item())
                    return token + 1
            """,
            calls=("f(torch.arange(5), 9)", "f(torch.arange(7), 3)"),
        ),
        Rewrites(
            before="""
                from torch import max, min

                def f(y):
                    low, high = min(y), max(y)
                    # values must be audio
                    if low < -1.0 or high > 1.0:  # clipped
                        print("clipped", low.item(), high.item())
                    return y * 0.5
            """,
            after="""
                import torch
                from torch import max, min

                def f(y):
                    low, high = min(y), max(y)
                    # values must be audio
                    # clipped
                    if not torch.compiler.is_compiling() and (low < -1.0 or high > 1.0):
                        print("clipped", low.item(), high.item())
                    return y * 0.5
            """,
            calls=("f(torch.linspace(-1, 1, 8))", "f(torch.linspace(-2, 2, 9))"),
        ),
        Rewrites(
            before="""
                import torch as th
                import warnings

                def f(x):
                    if th.isnan(x).sum().item() > 0:
                        warnings.warn("NaN in x")
                    else:
                        print("x is fine")
                    return x.relu()
            """,
            after="""
                import torch as th
                import warnings

                def f(x):
                    if not th.compiler.is_compiling():
                        if th.isnan(x).sum().item() > 0:
                            warnings.warn("NaN in x")
                        else:
                            print("x is fine")
                    return x.relu()
            """,
            calls=("f(torch.ones(3))", "f(torch.tensor([1.0, float('nan')]))"),
        ),
        Rewrites(
            before="""
                import logging
                import torch

                LOG = logging.getLogger("net")

                class Net(torch.nn.Module):
                    def forward(self, x: torch.Tensor, *, name: str = "x"):
                        h = x * 2
                        if not torch.isfinite(h).all():
                            count = (~torch.isfinite(h)).sum().item()
                            for index, row in enumerate(h):
                                total = float(row.sum())
                                if total != total:
                                    LOG.warning("%s[%d] is NaN", name, index)
                                    continue
                                LOG.debug("%s[%d] sums to %f", name, index, total)
                            if count > 1:
                                LOG.error("%d bad values", count)
                        return h.relu()

                f = Net()
            """,
            after="""
                import logging
                import torch

                LOG = logging.getLogger("net")

                class Net(torch.nn.Module):
                    def forward(self, x: torch.Tensor, *, name: str = "x"):
                        h = x * 2
                        if not torch.compiler.is_compiling() and not torch.isfinite(h).all():
                            count = (~torch.isfinite(h)).sum().item()
                            for index, row in enumerate(h):
                                total = float(row.sum())
                                if total != total:
                                    LOG.warning("%s[%d] is NaN", name, index)
                                    continue
                                LOG.debug("%s[%d] sums to %f", name, index, total)
                            if count > 1:
                                LOG.error("%d bad values", count)
                        return h.relu()

                f = Net()
            """,
            calls=("f(torch.ones(2, 2))", "f(torch.tensor([[1.0, float('nan')]]))"),
        ),
        Leaves(
            source="""
                def f(x):
                    if (x > 3).any():
                        largest = x.max()
                        print("large", largest)
                    else:
                        largest = x.min()
                    return x / largest
            """,
            calls=("f(torch.ones(3))",),
        ),
        Leaves(
            source="""
                def f(x):
                    if (x > 3).any():
                        print("large")
                        x = x / 2
                    return x
            """,
            calls=("f(torch.ones(3))",),
        ),
        Leaves(
            source="""
                def f(x):
                    if (total := x.sum()) > 3:
                        print("large")
                    return x / total
            """,
            calls=("f(torch.ones(3))",),
        ),
        Leaves(
            source="""
                def f(x, verbose: bool):
                    if verbose:
                        print("called")
                    return x + 1
            """,
            calls=("f(torch.ones(3), True)",),
        ),
    )


def _is_log_check(module: Module, branch: ast.If) -> bool:
    return is_pure(branch.test) and only_tells(module, branch, branch.body, branch.orelse)


def _in_test(site: Site, branch: ast.If) -> bool:
    """Whether the break is the branch itself or stands in its condition, not in its body."""
    around = (site.node, *site.module.parents(site.node))
    return site.node is branch or any(node is branch.test for node in around)


def _tests_tensor(module: Module, test: ast.expr) -> bool:
    parts = test.values if isinstance(test, ast.BoolOp) else [test]
    sides = [
        side for part in parts for side in ([part.left, *part.comparators] if isinstance(part, ast.Compare) else [part])
    ]
    return any(is_tensor(module, without_conversion(side)) for side in sides)
