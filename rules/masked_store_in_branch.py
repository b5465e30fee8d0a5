"""GF201: `if mask.any():` around log calls and `x[mask] = constant`."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module
from graphfix.source.tensors import is_tensor

from ._match import any_true, dotted, is_boolean, is_guarded_log, is_log_statement, is_pure, is_text, same


class MaskedStoreInBranch(Rule):
    """What it does:
        Stores through the mask without asking first whether the mask selects anything. Log calls beside the
        store stay under the question, in eager code only.

    Why it breaks the graph:
        The branch depends on values in a tensor (GB0170; GB0124 where `.item()` reads the count). The question
        is not needed: a masked store under an all-false mask stores nothing.

    Example:
        if (rows.sum(-1) == 0).sum().item() != 0:
            logger.warning("empty rows")
            rows[rows.sum(-1) == 0] = True

        if not torch.compiler.is_compiling() and (rows.sum(-1) == 0).sum().item() != 0:
            logger.warning("empty rows")
        rows[rows.sum(-1) == 0] = True

    Safety:
        Proven. The values are the same for every mask; the store is still in place. A run must show it, because a
        store that no call ever reached may raise on its own (a tensor that does not allow writing).
    """

    code, name = "GF201", "masked-store-in-branch"
    title = "store through the mask without branching on it"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0170", "GB0124"})
    dual = True

    def find(self, module: Module) -> Iterator[Site]:
        for node in module.analysis.nodes(ast.If):
            if (
                isinstance(node, ast.If)
                and (mask := _stored_mask(module, node)) is not None
                and is_tensor(module, mask)
            ):
                yield Site(module, node)

    def rewrite(self, site: Site) -> Rewrite | None:
        branch = site.enclosing(ast.If)
        if branch is None or _stored_mask(site.module, branch) is None:
            return None
        logs = [node for node in branch.body if is_log_statement(node) or is_guarded_log(node)]
        stores = [node for node in branch.body if isinstance(node, ast.Assign)]
        if not logs or site.dual:
            return site.replace(branch, "{stores}\n", stores=stores)
        template = "if not {torch}.compiler.is_compiling() and {test}:\n    {logs}\n{stores}\n"
        return site.replace(branch, template, test=branch.test, logs=logs, stores=stores)

    cases = (
        Rewrites(
            before="""
                import logging
                import torch

                def f(rows):
                    rows = rows.clone()
                    if (rows.sum(dim=-1) == 0).sum().item() != 0:
                        logging.warning("empty rows are set to true")
                        rows[rows.sum(-1) == 0] = True
                    return rows.float()
            """,
            after="""
                import logging
                import torch

                def f(rows):
                    rows = rows.clone()
                    if not torch.compiler.is_compiling() and (rows.sum(dim=-1) == 0).sum().item() != 0:
                        logging.warning("empty rows are set to true")
                    rows[rows.sum(-1) == 0] = True
                    return rows.float()
            """,
            calls=("f(torch.ones(3, 3, dtype=torch.bool))", "f(torch.eye(4).bool() & (torch.arange(4) > 1))"),
        ),
        Rewrites(
            before="""
                import torch

                class Clean(torch.nn.Module):
                    def forward(self, x):
                        x = x * 2
                        bad = torch.isnan(x) | torch.isinf(x)
                        if bad.any():
                            # a silent repair
                            x[bad] = 0.0
                        return x.sum()

                f = Clean()
            """,
            after="""
                import torch

                class Clean(torch.nn.Module):
                    def forward(self, x):
                        x = x * 2
                        bad = torch.isnan(x) | torch.isinf(x)
                        # a silent repair
                        x[bad] = 0.0
                        return x.sum()

                f = Clean()
            """,
            calls=("f(torch.ones(4))", "f(torch.tensor([1.0, float('inf'), float('nan')]))"),
        ),
        Leaves(
            source="""
                def f(x, index):
                    x = x.clone()
                    if index.any():
                        x[index] = 0.0
                    return x
            """,
            calls=("f(torch.ones(4), torch.tensor([0, 2]))",),
        ),
        Leaves(
            source="""
                def f(x):
                    x = x.clone()
                    if (x > 3).all():
                        x[x > 3] = 0.0
                    return x
            """,
            calls=("f(torch.arange(6.0))",),
        ),
        Leaves(
            source="""
                def f(x):
                    x = x.clone()
                    if (x > 3).any():
                        x[x > 2] = 0.0
                    return x
            """,
            calls=("f(torch.arange(6.0))",),
        ),
        Leaves(
            source="""
                def f(x):
                    x = x.clone()
                    if (x > 3).any():
                        x[x > 3] = 0.0
                    else:
                        x = x + 1
                    return x
            """,
            calls=("f(torch.arange(6.0))",),
        ),
    )


def _stored_mask(module: Module, branch: ast.If) -> ast.expr | None:
    """The mask of a branch that this rule knows."""
    mask = any_true(branch.test)
    if mask is None or branch.orelse or not is_pure(mask) or not is_boolean(module, mask):
        return None
    stores = [node for node in branch.body if isinstance(node, ast.Assign)]
    others = [node for node in branch.body if not isinstance(node, ast.Assign)]
    if not stores or not all(is_log_statement(node) or is_guarded_log(node) or is_text(node) for node in others):
        return None
    return mask if all(_stores_constant(node, mask) for node in stores) else None


def _stores_constant(node: ast.Assign, mask: ast.expr) -> bool:
    target = node.targets[0]
    value = node.value.operand if isinstance(node.value, ast.UnaryOp) else node.value
    constant = isinstance(value, ast.Constant) or dotted(value) in {"torch.inf", "torch.nan", "math.inf", "math.nan"}
    infinite = isinstance(value, ast.Call) and dotted(value.func) == "float" and is_pure(value)
    return (
        len(node.targets) == 1
        and isinstance(target, ast.Subscript)
        and dotted(target.value) != ""
        and same(target.slice, mask)
        and (constant or infinite)
    )
