"""GF216: `if tensor: return` and `if tensor: continue`, before statements that change something."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import FUNCTIONS

from ._arms import Reader
from ._condition import Build, branch_of, decide
from ._items import Log, Plain, Unknown
from ._match import block_of, is_text
from ._merge import merged, statements


class LeaveInTensorBranch(Rule):
    """What it does:
        Runs what stands behind an early `return` without a value, or behind a `continue`, in any case, and keeps each
        old value by `torch.where` where the function or the turn of the loop would have been left.

    Why it breaks the graph:
        Whether to leave is known at run time only, so Dynamo ends the graph and lets Python decide (GB0170, or
        GB0124 where the condition reads a number with `.item()`).

    Example:
        if not expired.any():
            return
        self.codes.copy_(torch.where(expired, fresh, self.codes))

        self.codes.copy_(torch.where(expired.any(), torch.where(expired, fresh, self.codes), self.codes))

    Safety:
        Proven. What the statements set must be tensors (or numbers) of one shape and dtype, and nothing else may see
        that they ran: a run shows both ways. Compiled code computes them always.
    """

    code, name = "GF216", "leave-in-tensor-branch"
    title = "run what follows an early leave, and choose with torch.where"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0170", "GB0124", "GB0033"})

    def rewrite(self, site: Site) -> Rewrite | None:
        branch = branch_of(site, ast.If)
        if not isinstance(branch, ast.If) or branch.orelse:
            return None
        rest = _rest(site, branch)
        if not rest or any(isinstance(part, _LEAVING) for node in rest for part in ast.walk(node)):
            return None
        build = Build(site.module, site.node)
        try:
            text = _text(build, Reader(build, branch, behind=rest), branch, rest)
        except Unknown:
            return None
        return build.put(site, [branch, *rest], text, branch.test) if text else None

    cases = (
        Rewrites(
            before="""
                import torch

                class Codes(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.register_buffer("codes", torch.zeros(3))

                    def refresh(self, fresh: torch.Tensor):
                        old = self.codes < 1
                        if not old.any():
                            return
                        # the first ones
                        fresh = fresh[:3]
                        self.codes.copy_(torch.where(old, fresh, self.codes))

                    def forward(self, x):
                        self.refresh(x)
                        return x[:3] + self.codes

                def f(x):
                    return Codes()(x)
            """,
            after="""
                import torch

                class Codes(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.register_buffer("codes", torch.zeros(3))

                    def refresh(self, fresh: torch.Tensor):
                        old = self.codes < 1
                        # the first ones
                        fresh = fresh[:3]
                        self.codes.copy_(torch.where(old.any(), torch.where(old, fresh, self.codes), self.codes))

                    def forward(self, x):
                        self.refresh(x)
                        return x[:3] + self.codes

                def f(x):
                    return Codes()(x)
            """,
            calls=("f(torch.ones(4))", "f(torch.arange(5.0))"),
        ),
        Rewrites(
            before="""
                import torch

                def suppress(overlaps: torch.Tensor, alive: torch.Tensor, limit=0.5):
                    for i in range(overlaps.shape[0]):
                        if not alive[i]:
                            continue
                        over = overlaps[i] > limit
                        over[: i + 1] = False
                        alive = alive & ~over
                    return alive
            """,
            after="""
                import torch

                def suppress(overlaps: torch.Tensor, alive: torch.Tensor, limit=0.5):
                    for i in range(overlaps.shape[0]):
                        over = overlaps[i] > limit
                        over[: i + 1] = False
                        alive = torch.where(alive[i] != 0, alive & ~over, alive)
                    return alive
            """,
            calls=(
                "suppress(torch.eye(3), torch.tensor([True, True, False]))",
                "suppress(torch.ones(3, 3), torch.tensor([True, False, True]))",
            ),
        ),
        Leaves(
            source="""
                import torch

                def note(x, seen: list):
                    if x.sum() > 3:
                        return
                    seen.append(x.shape)

                def f(x, seen: list):
                    note(x, seen)
                    return x + 1
            """,
            calls=("f(torch.ones(4), [])", "f(torch.ones(2), [])"),
        ),
        Leaves(
            source="""
                import torch

                def positive(x):
                    found = []
                    for value in x:
                        if value < 0:
                            continue
                        found.append(value * 2)
                    return torch.stack(found)
            """,
            calls=("positive(torch.tensor([1.0, -1.0, 2.0]))",),
        ),
    )


_LEAVING = (ast.Return, ast.Break, ast.Continue, ast.Yield, ast.YieldFrom, ast.Await, ast.Raise)


def _rest(site: Site, branch: ast.If) -> Sequence[ast.stmt]:
    """The statements that the branch leaves out when it is taken; empty where it does anything else."""
    parent = next(site.module.parents(branch), None)
    *texts, last = branch.body
    if parent is None or not all(map(is_text, texts)):
        return []
    block = block_of(parent, branch)
    behind = block[block.index(branch) + 1 :]
    if isinstance(last, ast.Continue):
        return behind if isinstance(parent, ast.For | ast.While) and block is parent.body else []
    returns_none = isinstance(last, ast.Return) and (
        last.value is None or (isinstance(last.value, ast.Constant) and last.value.value is None)
    )
    return behind if returns_none and isinstance(parent, FUNCTIONS) else []


def _text(build: Build, reader: Reader, branch: ast.If, rest: Sequence[ast.stmt]) -> str | None:
    """The template. Raises Unknown."""
    stays = isinstance(branch.test, ast.UnaryOp) and isinstance(branch.test.op, ast.Not)
    decision = decide(build, branch.test, holds=not stays)
    if decision is None or decision.plain:
        return None
    name = build.fresh("condition")
    items = reader.items(rest, rest)
    found = merged(build, name, items, []) if stays else merged(build, name, [], items)
    if not found or all(isinstance(item, Plain | Log) for item in found):
        return None
    condition, chosen = reader.named(decision.tensor, name, found)
    return statements(build, [*condition, *chosen])
