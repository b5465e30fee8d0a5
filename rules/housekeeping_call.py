"""GF305: calls that tidy up or wait, in compiled code."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._effects import EFFECT_BREAKS, eager_only, guarded, is_housekeeping, statement_of

_LAST_NAMES = frozenset(
    "collect flush sleep empty_cache synchronize simplefilter filterwarnings reset_peak_memory_stats".split()
)


class HousekeepingCall(Rule):
    """What it does:
        Lets a statement that only tidies up, waits or marks a place for a profiler run in eager code alone:
        `gc.collect()`, `time.sleep()`, `torch.cuda.synchronize()`, `sys.stdout.flush()`, `warnings.simplefilter()`.

    Why it breaks the graph:
        Dynamo does not trace what is no computation (GB0007, GB0156), and a graph has no place for it.

    Example:
        gc.collect()

        if not torch.compiler.is_compiling():
            gc.collect()

    Safety:
        Exact. No value depends on the call, and eager code still makes it; compiled code does not wait and does not
        tidy up.
    """

    code, name = "GF305", "housekeeping-call"
    title = "keep a call that computes nothing out of the graph"
    safety = Safety.EXACT
    repairs = EFFECT_BREAKS

    def find(self, module: Module) -> Iterator[Site]:
        for call in module.analysis.calls(_LAST_NAMES):
            site = Site(module, call)
            statement = statement_of(site)
            if statement is not None and is_housekeeping(module, statement) and not eager_only(module, statement):
                yield Site(module, statement, sure=not _traced(call))

    def rewrite(self, site: Site) -> Rewrite | None:
        statement = statement_of(site)
        if statement is None or not is_housekeeping(site.module, statement) or eager_only(site.module, statement):
            return None
        return guarded(site, [statement])

    cases = (
        Rewrites(
            before="""
                import gc
                import torch

                def f(x, free: bool = True):
                    y = torch.sin(x)
                    if free:
                        gc.collect()  # the big one is gone
                    return y + 1
            """,
            after="""
                import gc
                import torch

                def f(x, free: bool = True):
                    y = torch.sin(x)
                    if free:
                        if not torch.compiler.is_compiling():
                            gc.collect()  # the big one is gone
                    return y + 1
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(4), free=False)"),
        ),
        Rewrites(
            before="""
                from time import sleep
                from torch import nn

                class Slow(nn.Module):
                    pause = 0.0

                    def forward(self, *inputs):
                        total = sum(inputs)
                        sleep(self.pause)
                        return total.relu()

                f = Slow()
            """,
            after="""
                from time import sleep
                import torch
                from torch import nn

                class Slow(nn.Module):
                    pause = 0.0

                    def forward(self, *inputs):
                        total = sum(inputs)
                        if not torch.compiler.is_compiling():
                            sleep(self.pause)
                        return total.relu()

                f = Slow()
            """,
            calls=("f(torch.ones(3), torch.ones(3))", "f(torch.ones(4))"),
        ),
        Rewrites(
            before="""
                import sys
                import torch

                def f(x):
                    for factor in (1.0, 2.0):
                        x = torch.cos(x) * factor
                        sys.stdout.flush()
                    return x
            """,
            after="""
                import sys
                import torch

                def f(x):
                    for factor in (1.0, 2.0):
                        x = torch.cos(x) * factor
                        if not torch.compiler.is_compiling():
                            sys.stdout.flush()
                    return x
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(4))"),
        ),
        Leaves(
            source="""
                import gc

                def f(x):
                    y = x.sin()
                    freed = gc.collect()
                    return y + 1, freed >= 0
            """,
            calls=("f(torch.ones(3))",),
        ),
        Leaves(
            source="""
                import time

                def f(x, waits):
                    y = x.sin()
                    time.sleep(waits.pop())
                    return y + 1
            """,
            calls=("f(torch.ones(3), [0.0, 0.0, 0.0])",),
        ),
    )


def _traced(call: ast.Call) -> bool:
    """Whether Dynamo may trace the call after all: what is asked of a device that is not there (seen on 2.13)."""
    return "cuda" in ast.unparse(call.func)
