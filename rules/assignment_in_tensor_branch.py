"""GF206: `if tensor:` around assignments."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._arms import Reader
from ._chain import as_else, elifs_above
from ._condition import Build, branch_of, decide
from ._items import Item, Log, Plain, Unknown
from ._merge import statements


class AssignmentInTensorBranch(Rule):
    """What it does:
        Computes what both arms of a branch assign, and chooses by `torch.where`: names, attributes, elements, in-place
        methods and registered buffers, in one `if` or a chain of `elif`. What has no `else` keeps its old value.

    Why it breaks the graph:
        Which arm to run is known at run time only, so Dynamo ends the graph and lets Python decide (GB0170, or
        GB0124 where the condition reads a number with `.item()`).

    Example:
        if x.abs().max() > limit:
            x = x / x.abs().max()

        x = torch.where(x.abs().max() > limit, x / x.abs().max(), x)

    Safety:
        Proven. Both arms must give tensors (or numbers) of one shape and dtype, and nothing else may see that the other
        arm ran: a run shows both, with inputs that take either way. Compiled code computes both arms.
    """

    code, name = "GF206", "assignment-in-tensor-branch"
    title = "choose what is assigned with torch.where"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0170", "GB0124", "GB0033"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        branch = branch_of(site, ast.If)
        if not isinstance(branch, ast.If):
            return None
        build = Build(site.module, site.node)
        reader = Reader(build, branch, compiled=site.dual)
        try:
            text = _text(build, reader, branch)
        except Unknown:
            return None
        if text is None:
            return None
        above = elifs_above(site.module, branch)
        return build.put(site, above[0] if above else branch, as_else(build, above, text), branch.test)

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x, limit: float):
                    if x.abs().max() > limit:  # too loud
                        x = x / x.abs().max()
                    return x + 1
            """,
            after="""
                import torch

                def f(x, limit: float):
                    # too loud
                    x = torch.where(x.abs().max() > limit, x / x.abs().max(), x)
                    return x + 1
            """,
            calls=("f(torch.arange(1.0, 4.0), 2.0)", "f(torch.arange(1.0, 5.0), 9.0)"),
        ),
        Rewrites(
            before="""
                import torch as th

                class Gate(th.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.register_buffer("level", th.tensor(0.5))

                    def forward(self, h, *, bias=None):
                        energy = h.pow(2).mean()
                        if energy.item() > 1 and bias is None:
                            scaled = h * self.level
                            h = scaled - scaled.mean()
                            gain = energy.rsqrt()
                        elif energy < 0.25:
                            h = h + 1
                            gain = energy
                        else:
                            gain = energy * 2
                        return h * gain

                f = Gate()
            """,
            after="""
                import torch as th

                class Gate(th.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.register_buffer("level", th.tensor(0.5))

                    def forward(self, h, *, bias=None):
                        energy = h.pow(2).mean()
                        if bias is None:
                            condition = energy > 1
                            scaled = h * self.level
                            condition_2 = energy < 0.25
                            h = th.where(condition, scaled - scaled.mean(), th.where(condition_2, h + 1, h))
                            gain = th.where(
                                condition,
                                energy.rsqrt(),
                                th.where(condition_2, energy, energy * 2),
                            )
                        else:
                            condition_2 = energy < 0.25
                            h = th.where(condition_2, h + 1, h)
                            gain = th.where(condition_2, energy, energy * 2)
                        return h * gain

                f = Gate()
            """,
            calls=("f(torch.ones(3) * 2)", "f(torch.ones(4) * 0.25)"),
        ),
        Rewrites(
            before="""
                import torch

                class Tracker(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.register_buffer("peak", torch.zeros(()))
                        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

                    def forward(self, x: torch.Tensor) -> torch.Tensor:
                        top = x.max()
                        if top > self.peak:
                            self.peak.copy_(top)
                            self.steps += 1
                            x[0] = 0.0
                        else:
                            x = x.neg()
                        return x * self.peak

                def f(x):
                    return Tracker()(x.clone())
            """,
            after="""
                import torch

                class Tracker(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.register_buffer("peak", torch.zeros(()))
                        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

                    def forward(self, x: torch.Tensor) -> torch.Tensor:
                        top = x.max()
                        condition = top > self.peak
                        self.peak.copy_(torch.where(condition, top, self.peak))
                        self.steps.copy_(torch.where(condition, self.steps + 1, self.steps))
                        x[0] = torch.where(condition, 0.0, x[0])
                        x = torch.where(condition, x, x.neg())
                        return x * self.peak

                def f(x):
                    return Tracker()(x.clone())
            """,
            calls=("f(torch.ones(3))", "f(-torch.ones(4))"),
        ),
        Rewrites(
            before="""
                import torch

                def split(x):
                    return x * 2, x.sum()

                def f(x, fast: bool = False):
                    if fast:
                        y, total = x, x.mean()
                    elif torch.all(x > 0):
                        y, total = split(x)
                    else:
                        # some are negative
                        y, total = x.abs(), x.mean()
                    return y / total
            """,
            after="""
                import torch

                def split(x):
                    return x * 2, x.sum()

                def f(x, fast: bool = False):
                    # some are negative
                    if fast:
                        y, total = x, x.mean()
                    else:
                        condition = torch.all(x > 0)
                        new_y, new_total = split(x)
                        y = torch.where(condition, new_y, x.abs())
                        total = torch.where(condition, new_total, x.mean())
                    return y / total
            """,
            calls=("f(torch.ones(3))", "f(-torch.ones(4))", "f(torch.ones(4), True)"),
        ),
        Rewrites(
            before="""
                import torch

                def f(x, mask):
                    y = x * 2
                    if not (mask.any() or (x < 0).all()):
                        y *= x.sum()
                    else:
                        if 0 < x.mean() < 2:
                            y = y - 1
                    return y
            """,
            after="""
                import torch

                def f(x, mask):
                    y = x * 2
                    condition = ~mask.any() & ~(x < 0).all()
                    y.copy_(torch.where(condition, y * x.sum(), y))
                    y = torch.where(condition, y, torch.where((0 < x.mean()) & (x.mean() < 2), y - 1, y))
                    return y
            """,
            calls=(
                "f(torch.ones(3), torch.zeros(3, dtype=torch.bool))",
                "f(torch.ones(4), torch.ones(4, dtype=torch.bool))",
                "f(torch.ones(4) * 3, torch.ones(4, dtype=torch.bool))",
            ),
        ),
        Rewrites(
            before="""
                import logging

                import torch
                from torch import nn

                _log = logging.getLogger(__name__)

                class RunningMean(nn.Module):
                    def __init__(self) -> None:
                        super().__init__()
                        self.register_buffer("mean", torch.zeros(2))
                        self.register_buffer("ready", torch.tensor(False))

                    def forward(self, v: torch.Tensor) -> torch.Tensor:
                        batch = v.mean(0)
                        if not self.ready:
                            self.mean.copy_(batch)
                            self.ready.fill_(True)
                        else:
                            self.mean.mul_(0.9).add_(batch, alpha=0.1)
                        if (spread := v.std()) > 1:
                            worst = v.abs().argmax().item()
                            _log.debug("value %d of %s stands out", worst, self)
                            _log.info("spread")
                            half = spread / 2
                            v = v * half
                        return v - self.mean

                def f(v):
                    return RunningMean()(v)
            """,
            after="""
                import logging

                import torch
                from torch import nn

                _log = logging.getLogger(__name__)

                class RunningMean(nn.Module):
                    def __init__(self) -> None:
                        super().__init__()
                        self.register_buffer("mean", torch.zeros(2))
                        self.register_buffer("ready", torch.tensor(False))

                    def forward(self, v: torch.Tensor) -> torch.Tensor:
                        batch = v.mean(0)
                        condition = self.ready == 0
                        self.mean.copy_(torch.where(condition, batch, self.mean.mul(0.9).add(batch, alpha=0.1)))
                        self.ready.copy_(torch.where(condition, True, self.ready))
                        condition_2 = (spread := v.std()) > 1
                        if not torch.compiler.is_compiling() and condition_2:
                            worst = v.abs().argmax().item()
                            _log.debug("value %d of %s stands out", worst, self)
                            _log.info("spread")
                        half = spread / 2
                        v = torch.where(condition_2, v * half, v)
                        return v - self.mean

                def f(v):
                    return RunningMean()(v)
            """,
            calls=("f(torch.ones(2, 2))", "f(torch.arange(6.0).view(3, 2))"),
        ),
        Rewrites(
            before="""
                import torch

                def f(low, high, parts: list[torch.Tensor]):
                    low, high = low * 1.0, high * 1.0
                    if low.sum() > high.sum():
                        low, high = high, low
                    if all(bool((part > 0).all()) for part in parts):
                        low = low - 1
                    return high - 2 * low
            """,
            after="""
                import torch

                def f(low, high, parts: list[torch.Tensor]):
                    low, high = low * 1.0, high * 1.0
                    condition = low.sum() > high.sum()
                    new_low, new_high = high, low
                    low = torch.where(condition, new_low, low)
                    high = torch.where(condition, new_high, high)
                    low = torch.where(torch.stack([(part > 0).all() for part in parts]).all(), low - 1, low)
                    return high - 2 * low
            """,
            calls=(
                "f(torch.ones(3), torch.zeros(3), [torch.ones(2), torch.ones(3)])",
                "f(torch.zeros(3), torch.ones(3), [torch.ones(2), -torch.ones(3)])",
            ),
        ),
        Rewrites(
            before="""
                import torch

                def f(x):
                    parts = []
                    for row in x:
                        if row.sum() > 0:
                            parts.append(row * 2)
                        else:
                            parts.append(torch.zeros_like(row))  # nothing there
                    return torch.stack(parts)
            """,
            after="""
                import torch

                def f(x):
                    parts = []
                    for row in x:
                        # nothing there
                        parts.append(torch.where(row.sum() > 0, row * 2, torch.zeros_like(row)))
                    return torch.stack(parts)
            """,
            calls=("f(torch.tensor([[1.0, 2.0], [-1.0, -2.0]]))", "f(torch.ones(3, 2))"),
        ),
        Rewrites(
            before="""
                import torch

                def f(grads, limit: float = 1.0):
                    norm = torch.stack([g.norm() for g in grads]).norm()
                    if norm > limit:
                        grads = [g * (limit / norm) for g in grads]
                    return grads
            """,
            after="""
                import torch

                def f(grads, limit: float = 1.0):
                    norm = torch.stack([g.norm() for g in grads]).norm()
                    grads = [torch.where(norm > limit, g * (limit / norm), g) for g in grads]
                    return grads
            """,
            calls=("f([torch.ones(3), torch.ones(2, 2)])",),
        ),
        Rewrites(
            before="""
                def f(x, level):
                    above = 0
                    for value in x:
                        if value > level:
                            above += 1
                    return x / max(above, 1)
            """,
            after="""
                import torch

                def f(x, level):
                    above = 0
                    for value in x:
                        above = torch.where(value > level, above + 1, above)
                    return x / max(above, 1)
            """,
            calls=("f(torch.arange(3.0), torch.tensor(0.5))", "f(torch.arange(2.0), torch.tensor(3.0))"),
        ),
        Leaves(
            source="""
                import torch

                def f(x, seen: set):
                    if x.sum() > 3:
                        seen.add(len(seen))
                        x = x + 1
                    return x
            """,
            calls=("f(torch.ones(4), set())",),
        ),
        Leaves(
            source="""
                def f(x, names: list):
                    if x.sum() > 3:
                        kind = "large"
                    else:
                        kind = "small"
                    names.append(kind)
                    return x + len(kind)
            """,
            calls=("f(torch.ones(4), [])",),
        ),
    )


def _text(build: Build, reader: Reader, branch: ast.If) -> str | None:
    """The template of a branch. Raises Unknown."""
    decision = decide(build, branch.test)
    if decision is None:
        return None
    items: list[Item] = reader.branch(branch, decision)
    if not items or all(isinstance(item, Plain | Log) for item in items):
        return None
    return statements(build, items)
