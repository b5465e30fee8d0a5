"""GF204: `if (x > limit).any():` around the clamp that would do nothing otherwise."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._condition import Build, branch_of, is_decided_by_tensor, unread
from ._match import dotted, is_guarded_log, is_log_statement, is_pure, is_text, same

_FINITE = frozenset({"isfinite"})
_BAD = frozenset({"isnan", "isinf"})
_CLAMPS = frozenset({"clamp", "clip", "clamp_", "clip_", "clamp_min", "clamp_max", "clamp_min_", "clamp_max_"})


class ClampBehindCheck(Rule):
    """What it does:
        Clamps, or replaces what is not finite, without asking first whether there is anything to do: where every value
        is within the bounds that the check names, the same clamp changes nothing.

    Why it breaks the graph:
        The branch depends on values in a tensor (GB0170; GB0124 where `.item()` reads one).

    Example:
        if torch.isnan(x).any() or torch.isinf(x).any():
            x = torch.nan_to_num(x)

        x = torch.nan_to_num(x)

    Safety:
        Proven. The values are the same, but an assignment gives a new tensor where there was none: where that can be
        seen, the dual form is used. The bounds of check and clamp must be the same code; `x.max() > b` is left to
        `torch.where` (GF206), since it says nothing of the other values where one is NaN.
    """

    code, name = "GF204", "clamp-behind-check"
    title = "clamp without branching on whether it is needed"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0170", "GB0124", "GB0033"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        branch = branch_of(site, ast.If)
        if not isinstance(branch, ast.If) or branch.orelse:
            return None
        build = Build(site.module, site.node)
        plain, rest = _split(build, branch.test)
        logs = [node for node in branch.body if is_log_statement(node) or is_guarded_log(node)]
        others = [node for node in branch.body if node not in logs and not is_text(node)]
        if len(others) != 1 or rest is None or not _is_idle(others[0], rest):
            return None
        text = build.slot(others)
        if logs and not site.dual:
            text = f"if not {{torch}}.compiler.is_compiling() and {build.slot(rest)}:\n    {build.slot(logs)}\n{text}"
        if plain:
            text = f"if {' and '.join(map(build.slot, plain))}:\n" + "".join(f"    {x}\n" for x in text.splitlines())
        return build.put(site, branch, text, branch.test)

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x):
                    x = x * 2
                    if torch.isnan(x).any() or torch.isinf(x).any():
                        x = torch.nan_to_num(x, nan=0.0, posinf=1e4)  # keep going
                    return x + 1
            """,
            after="""
                import torch

                def f(x):
                    x = x * 2
                    x = torch.nan_to_num(x, nan=0.0, posinf=1e4)  # keep going
                    return x + 1
            """,
            calls=("f(torch.ones(3))", "f(torch.tensor([1.0, float('inf'), float('nan')]))"),
        ),
        Rewrites(
            before="""
                import logging

                import torch

                log = logging.getLogger("half")

                class Net(torch.nn.Module):
                    top = 2.0

                    def forward(self, h: torch.Tensor):
                        h = h + 0.5
                        if not self.training and not h.isfinite().all().item():
                            log.warning("not finite")
                            h = h.nan_to_num()
                        if (h < -self.top).any() or (h > self.top).any():
                            h.clamp_(-self.top, self.top)
                        return h.sum()

                f = Net().eval()
            """,
            after="""
                import logging

                import torch

                log = logging.getLogger("half")

                class Net(torch.nn.Module):
                    top = 2.0

                    def forward(self, h: torch.Tensor):
                        h = h + 0.5
                        if not self.training:
                            if not torch.compiler.is_compiling() and not h.isfinite().all().item():
                                log.warning("not finite")
                            h = h.nan_to_num()
                        h.clamp_(-self.top, self.top)
                        return h.sum()

                f = Net().eval()
            """,
            calls=("f(torch.ones(3) * float('inf'))", "f(torch.ones(4))", "f(-torch.ones(4) * 9)"),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, limit: float = 3.0):
                    y = x.cumsum(0)
                    if torch.any(y.abs() > limit):
                        y = torch.clamp(y, min=-limit, max=limit)
                    if not (y >= 1).all():
                        y = y.clamp(min=1)
                    return y
            """,
            after="""
                import torch

                def f(x, limit: float = 3.0):
                    y = x.cumsum(0)
                    y = torch.clamp(y, min=-limit, max=limit)
                    y = y.clamp(min=1)
                    return y
            """,
            calls=("f(torch.ones(5))", "f(torch.ones(2))", "f(-torch.ones(5))"),
        ),
        Leaves(
            source="""
                import torch

                def f(x):
                    if torch.isnan(x).any():
                        x = torch.nan_to_num(x)
                    return x + 1
            """,
            calls=("f(torch.tensor([1.0, float('inf')]))",),
        ),
        Leaves(
            source="""
                def f(x):
                    if (x > 3).any():
                        x = x.clamp(max=2)
                    return x + 1
            """,
            calls=("f(torch.arange(3.0))",),
        ),
        Leaves(
            source="""
                def f(x):
                    if x.max() > 3:
                        x = x.clamp(max=3)
                    return x + 1
            """,
            calls=("f(torch.arange(3.0))",),
        ),
    )


def _split(build: Build, test: ast.expr) -> tuple[list[ast.expr], ast.expr | None]:
    """The parts of a condition that Python decides, and the one that a tensor does; None for several of those."""
    if not isinstance(test, ast.BoolOp) or isinstance(test.op, ast.Or):
        return [], test
    plain = [part for part in test.values if not is_decided_by_tensor(build, part)]
    rest = [part for part in test.values if part not in plain]
    return (plain, rest[0]) if len(rest) == 1 and all(map(is_pure, plain)) else ([], None)


def _is_idle(node: ast.stmt, test: ast.expr) -> bool:
    """Whether a statement changes no value where the test does not hold."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.value, ast.Call):
        target, call = node.targets[0], node.value
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute):
        target, call = node.value.func.value, node.value
        if not node.value.func.attr.endswith("_"):
            return False
    else:
        return False
    if not isinstance(call.func, ast.Attribute) or not is_pure(target):
        return False
    given = list(call.args) if dotted(call.func.value) == "torch" else [call.func.value, *call.args]
    if not given or not same(given[0], target):
        return False
    if call.func.attr in {"nan_to_num", "nan_to_num_"}:
        return _says_finite(test, target)
    return call.func.attr in _CLAMPS and _within(test, target, call.func.attr, given[1:], call.keywords)


def _reduced(test: ast.expr) -> tuple[str, ast.expr] | None:
    """("any", m) of `m.any()` and `torch.any(m)`, ("all", m) of `not m.all()`."""
    wanted = "any"
    test = unread(test)[0]
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        wanted, test = "all", unread(test.operand)[0]
    if not isinstance(test, ast.Call) or not isinstance(test.func, ast.Attribute) or test.func.attr != wanted:
        return None
    owner, given = test.func.value, test.args
    if dotted(owner) == "torch":
        return (wanted, given[0]) if len(given) == 1 else None
    return None if given or test.keywords else (wanted, owner)


def _asks(mask: ast.expr, target: ast.expr) -> str:
    """`isnan` of `torch.isnan(x)` and `x.isnan()`, for the tensor that is changed."""
    if not isinstance(mask, ast.Call) or not isinstance(mask.func, ast.Attribute):
        return ""
    asked = mask.args[0] if mask.args else mask.func.value
    return mask.func.attr if same(asked, target) else ""


def _says_finite(test: ast.expr, target: ast.expr) -> bool:
    """Whether all values are finite where the test does not hold."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        parts = [found for found in map(_reduced, test.values) if found and found[0] == "any"]
        return {_asks(mask, target) for _, mask in parts} >= _BAD
    found = _reduced(test)
    if found is None:
        return False
    reduction, mask = found
    if reduction == "all":
        return _asks(mask, target) in _FINITE
    if isinstance(mask, ast.UnaryOp) and isinstance(mask.op, ast.Invert):
        return _asks(mask.operand, target) in _FINITE
    if isinstance(mask, ast.BinOp) and isinstance(mask.op, ast.BitOr):
        return {_asks(mask.left, target), _asks(mask.right, target)} == _BAD
    return False


def _within(test: ast.expr, target: ast.expr, method: str, given: list[ast.expr], named: list[ast.keyword]) -> bool:
    """Whether all values are within the bounds of a clamp where the test does not hold."""
    names = {"clamp_min": ["min"], "clamp_max": ["max"]}.get(method.rstrip("_"), ["min", "max"])
    bounds = dict(zip(names, given, strict=False)) | {one.arg: one.value for one in named if one.arg}
    bounds = {name: bound for name, bound in bounds.items() if not _is_none(bound)}
    known = _bounds(test, target)
    return bool(bounds) and all(
        any(_equal(bound, one) for one in known.get(name, ())) for name, bound in bounds.items()
    )


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _bounds(test: ast.expr, target: ast.expr) -> dict[str, list[ast.expr]]:
    """The bounds ("min" and "max") of the values where the test does not hold."""
    found: dict[str, list[ast.expr]] = {}
    for part in test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or) else [test]:
        reduction, mask = _reduced(part) or ("", part)
        if not reduction or not isinstance(mask, ast.Compare) or len(mask.ops) != 1:
            continue
        above = ast.Gt | ast.GtE if reduction == "any" else ast.Lt | ast.LtE
        below = ast.Lt | ast.LtE if reduction == "any" else ast.Gt | ast.GtE
        side, bound = mask.left, mask.comparators[0]
        if isinstance(mask.ops[0], above):
            if same(side, target):
                found.setdefault("max", []).append(bound)
            elif _asks(side, target) == "abs":
                found.setdefault("max", []).append(bound)
                found.setdefault("min", []).append(ast.UnaryOp(op=ast.USub(), operand=bound))
        elif isinstance(mask.ops[0], below) and same(side, target):
            found.setdefault("min", []).append(bound)
    return found


def _equal(one: ast.expr, other: ast.expr) -> bool:
    return same(one, other)
