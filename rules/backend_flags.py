"""GF513: a library's kernels switched on or off around compiled code."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

_FLAGS = frozenset({"torch.backends.cudnn.flags", "torch.backends.mkldnn.flags", "torch.backends.nnpack.flags"})
_SPEED = frozenset({"enabled", "benchmark", "benchmark_limit"})
"""What decides which kernel computes. `deterministic` and `allow_tf32` decide what it gives: they are not dropped."""


class BackendFlags(Rule):
    """What it does:
        Enters nothing in place of `torch.backends.cudnn.flags(enabled=…, benchmark=…)`, or the same of another library,
        while compiling.

    Why it breaks the graph:
        Dynamo does not trace the context manager (GB0208), and skips the whole function, since it cannot go on inside
        the block (GB0142).

    Example:
        with torch.backends.cudnn.flags(enabled=False):

        with contextlib.nullcontext() if torch.compiler.is_compiling() else torch.backends.cudnn.flags(enabled=False):

    Safety:
        Proven. Eager code enters what it entered. Compiled code may use the library's kernels, whose results agree
        within the dtype's tolerance. Flags that promise more (`deterministic`, `allow_tf32`) are left alone.
    """

    code, name = "GF513", "backend-flags"
    title = "switch no kernels off while compiling"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0208", "GB0142"})

    def rewrite(self, site: Site) -> Rewrite | None:
        block = next((one for one in (site.node, *site.module.parents(site.node)) if isinstance(one, ast.With)), None)
        if block is None or site.enclosing(ast.With) is not block:
            return None
        found = [item.context_expr for item in block.items if _only_speed(site.module, item)]
        template = "{contextlib}.nullcontext() if {torch}.compiler.is_compiling() else {manager}"
        return site.replace_each([(manager, template, {"manager": manager}) for manager in found]) if found else None

    cases = (
        Rewrites(
            before="""
                import torch
                import torch.backends.cudnn as cudnn

                def f(x):
                    y = x.sin()
                    with cudnn.flags(enabled=False):
                        return torch.nn.functional.avg_pool1d(y, 2) + 1
            """,
            after="""
                import contextlib

                import torch
                import torch.backends.cudnn as cudnn

                def f(x):
                    y = x.sin()
                    with contextlib.nullcontext() if torch.compiler.is_compiling() else cudnn.flags(enabled=False):
                        return torch.nn.functional.avg_pool1d(y, 2) + 1
            """,
            calls=("f(torch.ones(1, 1, 4))", "f(torch.ones(1, 1, 6))"),
        ),
        Rewrites(
            before="""
                import contextlib
                import torch as t
                from torch.backends.mkldnn import flags

                class C(t.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.conv = t.nn.Conv1d(1, 1, 3)
                        self.fast = False

                    def forward(self, x):
                        with t.no_grad(), flags(self.fast):
                            x = self.conv(x)
                        return x * 2

                f = C()
            """,
            after="""
                import contextlib
                import torch as t
                from torch.backends.mkldnn import flags

                class C(t.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.conv = t.nn.Conv1d(1, 1, 3)
                        self.fast = False

                    def forward(self, x):
                        with t.no_grad(), contextlib.nullcontext() if t.compiler.is_compiling() else flags(self.fast):
                            x = self.conv(x)
                        return x * 2

                f = C()
            """,
            calls=("f(torch.ones(1, 1, 4))", "f(torch.ones(1, 1, 6))"),
        ),
        Leaves(
            source="""
                import torch

                def f(x):
                    with torch.backends.cudnn.flags(enabled=True, deterministic=True):
                        return x.sin() + 1
            """,
            calls=("f(torch.ones(4))",),
        ),
        Rewrites(
            before="""
                import contextlib

                import torch

                def f(x):
                    with torch.backends.cudnn.flags(
                        benchmark=True,  # shapes stay
                    ):
                        return x.cos() + 1
            """,
            after="""
                import contextlib

                import torch

                def f(x):
                    with contextlib.nullcontext() if torch.compiler.is_compiling() else torch.backends.cudnn.flags(
                        benchmark=True,  # shapes stay
                    ):
                        return x.cos() + 1
            """,
            calls=("f(torch.ones(4))", "f(torch.ones(6))"),
        ),
        Leaves(
            source="""
                import torch

                class Backend:
                    def flags(self, enabled):
                        return torch.no_grad()

                cudnn = Backend()

                def f(x):
                    with cudnn.flags(enabled=False):
                        return x.sin() + 1
            """,
            calls=("f(torch.ones(4))",),
        ),
    )


def _only_speed(module: Module, item: ast.withitem) -> bool:
    call = item.context_expr
    if not isinstance(call, ast.Call) or module.analysis.meaning(call.func) not in _FLAGS or item.optional_vars:
        return False
    given = {keyword.arg for keyword in call.keywords}
    return len(call.args) <= 1 and given <= _SPEED
