"""GF203: `if mask.any():` around updates that do nothing where the mask is all false."""

from __future__ import annotations

import ast

from graphfix.model import Assumption
from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._condition import Build, branch_of, is_decided_by_tensor
from ._match import (
    any_true,
    dotted,
    is_boolean,
    is_guarded_log,
    is_log_statement,
    is_pure,
    is_text,
    is_whole,
    only_value,
    same,
)

_SHAPING = frozenset(
    {"unsqueeze", "expand", "expand_as", "view", "reshape", "view_as", "bool", "to", "squeeze", "contiguous", "any"}
)
"""Methods that leave an all-false mask all false."""


class MaskedUpdateInBranch(Rule):
    """What it does:
        Runs an update through a mask without asking first whether the mask selects anything: `masked_fill`, `where`,
        and stores and arithmetic in place under the mask or its complement.

    Why it breaks the graph:
        The branch depends on values in a tensor (GB0170; GB0124 where `.item()` reads a count). The question is not
        needed: under an all-false mask the update changes nothing.

    Example:
        if padding.any():
            scores = scores.masked_fill(padding[:, None], float("-inf"))

        scores = scores.masked_fill(padding[:, None], float("-inf"))

    Safety:
        Proven. The values are the same for every mask. A run must show it, because an update that no call ever reached
        may raise on its own, and one that is not in place gives a new tensor where there was none.
    """

    code, name = "GF203", "masked-update-in-branch"
    title = "update through the mask without branching on it"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0170", "GB0124", "GB0033"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        branch = branch_of(site, ast.If)
        if not isinstance(branch, ast.If) or branch.orelse:
            return None
        build = Build(site.module, site.node)
        plain, test = _split(build, branch.test)
        named = [part for part in ast.walk(branch.test) if isinstance(part, ast.NamedExpr)]
        mask = _mask_of(site.module, test) if test is not None else None
        if test is None or mask is None:
            return None
        logs = [node for node in branch.body if is_log_statement(node) or is_guarded_log(node)]
        others = [node for node in branch.body if node not in logs and not is_text(node)]
        given = next((one.value for one in named if same(one.target, mask[0])), mask[0])
        boolean = _is_boolean(site, given, branch)
        if not others or not all(_is_idle(node, *mask, boolean) for node in others):
            return None
        text = "".join(f"{build.slot(one.target)} = {build.slot(one.value)}\n" for one in named)
        text += "".join(f"{build.slot([node])}\n" for node in others)
        if logs and not site.dual:
            told = f"{{torch}}.compiler.is_compiling() and {build.slot(test)}"
            text = f"if not {told}:\n    {build.slot(logs)}\n{text}"
        if plain:
            lines = "".join(f"    {line}\n" for line in text.splitlines())
            text = f"if {' and '.join(map(build.slot, plain))}:\n{lines}"
        return build.put(site, branch, text, branch.test)

    cases = (
        Rewrites(
            before="""
                import torch

                def f(scores, padding):
                    if padding.any():
                        scores = scores.masked_fill(padding.unsqueeze(1), float("-inf"))  # never attend
                    return scores.softmax(-1)
            """,
            after="""
                import torch

                def f(scores, padding):
                    scores = scores.masked_fill(padding.unsqueeze(1), float("-inf"))  # never attend
                    return scores.softmax(-1)
            """,
            calls=(
                "f(torch.ones(2, 3, 3), torch.tensor([[False, False, True], [False, False, False]]))",
                "f(torch.ones(2, 3, 3), torch.zeros(2, 3, dtype=torch.bool))",
            ),
        ),
        Rewrites(
            before="""
                import logging
                import torch

                logger = logging.getLogger(__name__)

                class Clean(torch.nn.Module):
                    def forward(self, x: torch.Tensor, keep=None):
                        x = x * 1
                        if keep is not None and not keep.all():
                            logger.info("dropping %d", (~keep).sum())
                            x = torch.where(keep, x, torch.zeros_like(x))
                            x.masked_fill_(torch.logical_not(keep), -1)
                        return x.cumsum(-1)

                f = Clean()
            """,
            after="""
                import logging
                import torch

                logger = logging.getLogger(__name__)

                class Clean(torch.nn.Module):
                    def forward(self, x: torch.Tensor, keep=None):
                        x = x * 1
                        if keep is not None:
                            if not torch.compiler.is_compiling() and not keep.all():
                                logger.info("dropping %d", (~keep).sum())
                            x = torch.where(keep, x, torch.zeros_like(x))
                            x.masked_fill_(torch.logical_not(keep), -1)
                        return x.cumsum(-1)

                f = Clean()
            """,
            calls=("f(torch.ones(3), torch.arange(3) > 1)", "f(torch.ones(4), torch.ones(4) > 0)", "f(torch.ones(3))"),
        ),
        Rewrites(
            before="""
                import torch

                def f(logits, limit: float = 2.0):
                    logits = logits.clone()
                    above = logits > limit
                    if torch.count_nonzero(above).item() > 0:
                        logits[above] = limit
                        logits.masked_fill_(above, 1.5)
                    if bool((logits < 0).any()):
                        logits = torch.masked_fill(logits, logits < 0, 0.0)
                    return logits
            """,
            after="""
                import torch

                def f(logits, limit: float = 2.0):
                    logits = logits.clone()
                    above = logits > limit
                    logits[above] = limit
                    logits.masked_fill_(above, 1.5)
                    logits = torch.masked_fill(logits, logits < 0, 0.0)
                    return logits
            """,
            calls=("f(torch.arange(-2.0, 4.0))", "f(torch.ones(4))"),
        ),
        Rewrites(
            before="""
                def f(carry, done, x):
                    for t in range(len(x)):
                        carry = carry + x[t]
                        if (ended := done[t] > 0).any():
                            carry[ended] = 0.5
                    return carry
            """,
            after="""
                def f(carry, done, x):
                    for t in range(len(x)):
                        carry = carry + x[t]
                        ended = done[t] > 0
                        carry[ended] = 0.5
                    return carry
            """,
            calls=(
                "f(torch.zeros(3), torch.tensor([[0, 1, 0], [0, 0, 0]]), torch.ones(2, 3))",
                "f(torch.zeros(2), torch.tensor([[1, 1]]), torch.ones(1, 2))",
            ),
        ),
        Leaves(
            source="""
                def f(x, mask):
                    if mask.any():
                        x = x.masked_fill(~mask, 0.0)
                    return x + 1
            """,
            calls=("f(torch.ones(3), torch.tensor([True, False, True]))",),
        ),
        Leaves(
            source="""
                def f(x, mask):
                    if mask.all():
                        x = x.masked_fill(mask, 0.0)
                    return x + 1
            """,
            calls=("f(torch.ones(3), torch.tensor([True, False, True]))",),
        ),
        Leaves(
            source="""
                import torch

                def f(x, mask):
                    if mask.any():
                        x = torch.where(mask, x, 0.0)
                    return x + 1
            """,
            calls=("f(torch.ones(3), torch.tensor([True, False, True]))",),
        ),
    )


def _split(build: Build, test: ast.expr) -> tuple[list[ast.expr], ast.expr | None]:
    """The parts of a condition that Python decides, and the one that a tensor does; None for several of those."""
    if not isinstance(test, ast.BoolOp):
        return [], test
    plain = [part for part in test.values if not is_decided_by_tensor(build, part)]
    rest = [part for part in test.values if part not in plain]
    fits = isinstance(test.op, ast.And) and len(rest) == 1 and all(map(is_pure, plain))
    return (plain, rest[0]) if fits else ([], None)


def _mask_of(module: Module, test: ast.expr) -> tuple[ast.expr, bool] | None:
    """A boolean mask, and whether the test holds where it is true somewhere; if not, where it is false somewhere."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        called = test.operand
        while isinstance(called, ast.Call) and isinstance(called.func, ast.Attribute) and called.func.attr == "item":
            called = called.func.value
        if isinstance(called, ast.Call) and isinstance(called.func, ast.Attribute) and called.func.attr == "all":
            owner, given = called.func.value, called.args
            whole = given[0] if len(given) == 1 and dotted(owner) == "torch" else owner if not given else None
            return _known(module, whole, False)
        return None
    return _known(module, any_true(test), True)


def _known(module: Module, mask: ast.expr | None, when: bool) -> tuple[ast.expr, bool] | None:
    """The mask, or the name that the condition gives it, where it may be one."""
    mask = mask.target if isinstance(mask, ast.NamedExpr) and is_pure(mask.value) else mask
    return (mask, when) if mask is not None and is_pure(mask) and _may_mask(module, mask) else None


def _may_mask(module: Module, mask: ast.expr) -> bool:
    """Whether an expression may be a boolean mask; where its text does not tell, a run does."""
    value = only_value(module, mask) if isinstance(mask, ast.Name) else None
    if isinstance(mask, ast.Name | ast.Attribute) and value is None:
        return True
    return is_boolean(module, mask) or module.analysis.value(mask).boolean


def _is_boolean(site: Site, mask: ast.expr, branch: ast.If) -> bool:
    """Whether a mask is boolean by its text, or was on every call: integers as an index are positions."""
    if is_boolean(site.module, mask) or site.module.analysis.value(mask).boolean:
        return True
    seen = Assumption(site.module.path, branch.lineno, f'str({ast.unparse(mask)}.dtype) == "torch.bool"')
    return site.held is not None and site.may_hold(seen)


def _is_idle(node: ast.stmt, mask: ast.expr, when: bool, boolean: bool) -> bool:
    """Whether a statement changes nothing where no element of the mask is `when`; an index by it, if it is boolean."""
    if isinstance(node, ast.AugAssign):
        return boolean and isinstance(node.target, ast.Subscript) and _selects(node.target.slice, mask, when)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return _is_fill(node.value, "masked_fill_", None, mask, when)
    if not isinstance(node, ast.Assign) or len(node.targets) != 1:
        return False
    target, value = node.targets[0], node.value
    if isinstance(target, ast.Subscript):
        return boolean and _selects(target.slice, mask, when)
    if not isinstance(value, ast.Call) or not isinstance(target, ast.Name | ast.Attribute):
        return False
    return _is_fill(value, "masked_fill", target, mask, when) or _is_where(value, target, mask, when)


def _is_fill(call: ast.Call, name: str, target: ast.expr | None, mask: ast.expr, when: bool) -> bool:
    if not isinstance(call.func, ast.Attribute) or call.func.attr != name:
        return False
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    if ast.unparse(call.func.value) != "torch":
        given.insert(0, call.func.value)
    return len(given) == 3 and (target is None or same(given[0], target)) and _is_mask(given[1], mask, when)


def _is_where(call: ast.Call, target: ast.expr, mask: ast.expr, when: bool) -> bool:
    """`x = torch.where(m, a, x)`, `x = torch.where(~m, x, a)`, `x = x.where(~m, a)`."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "where" or call.keywords:
        return False
    given = list(call.args)
    if ast.unparse(call.func.value) != "torch" and len(given) == 2:
        given = [given[0], call.func.value, given[1]]
    if len(given) != 3:
        return False
    taken, kept = _is_mask(given[0], mask, when), _is_mask(given[0], mask, not when)
    return (taken and same(given[2], target)) or (kept and same(given[1], target))


def _selects(index: ast.expr, mask: ast.expr, when: bool) -> bool:
    """Whether an index selects through the mask."""
    parts = index.elts if isinstance(index, ast.Tuple) else [index]
    return any(_is_mask(part, mask, when) for part in parts)


def _is_mask(node: ast.expr, mask: ast.expr, when: bool) -> bool:
    """Whether an expression is the mask (its complement, if not `when`), in another shape perhaps."""
    while True:
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert):
            node, when = node.operand, not when
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "logical_not":
            node, when = node.args[0] if node.args else node.func.value, not when
        elif isinstance(mask, ast.UnaryOp) and isinstance(mask.op, ast.Invert):
            mask, when = mask.operand, not when
        elif when and same(node, mask):
            return True
        elif isinstance(node, ast.Subscript) and _only_lifts(node.slice):
            node = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _SHAPING:
            node = node.func.value
        else:
            return False


def _only_lifts(index: ast.expr) -> bool:
    """`[..., None]`, `[:, None]` and their like."""
    parts = index.elts if isinstance(index, ast.Tuple) else [index]
    plain = map(is_whole, parts)
    return all(
        found or (isinstance(part, ast.Constant) and part.value in (None, ...))
        for part, found in zip(parts, plain, strict=True)
    )
