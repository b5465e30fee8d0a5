"""GF307: a time that is measured and kept."""

from __future__ import annotations

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._effects import EFFECT_BREAKS, LogOnly, TimingOnly, eager_only, guarded, statement_of


class KeptTiming(Rule):
    """What it does:
        Lets the statements that measure a time and keep it (in an attribute, an item, a list of times) run in eager
        code alone, with all that only they use.

    Why it breaks the graph:
        Dynamo does not trace clocks (GB0007, GB0156), and a time measured while it traces would be that of the
        tracing.

    Example:
        start = time.perf_counter()
        y = self.layer(x)
        self.took = time.perf_counter() - start

        if not torch.compiler.is_compiling():
            start = time.perf_counter()
        y = self.layer(x)
        if not torch.compiler.is_compiling():
            self.took = time.perf_counter() - start

    Safety:
        Unsafe. Compiled code keeps no times any more: what reads them finds the last eager ones, or none. Measure
        around the compiled call instead, with a synchronize before each reading of the clock.
    """

    code, name = "GF307", "kept-timing"
    title = "measure no time while compiling"
    safety = Safety.UNSAFE
    repairs = EFFECT_BREAKS

    def rewrite(self, site: Site) -> Rewrite | None:
        statement = statement_of(site)
        if statement is None or eager_only(site.module, statement):
            return None
        if LogOnly(site.module, statement).statements is not None:  # another rule's, and exact
            return None
        statements = TimingOnly(site.module, statement).statements
        return guarded(site, statements) if statements else None

    cases = (
        Rewrites(
            before="""
                import time
                import torch

                class Timed(torch.nn.Module):
                    took = 0.0

                    def forward(self, x):
                        start = time.perf_counter()
                        y = torch.sin(x) + 1
                        self.took = 0 * (time.perf_counter() - start)
                        return y

                f = Timed()
            """,
            after="""
                import time
                import torch

                class Timed(torch.nn.Module):
                    took = 0.0

                    def forward(self, x):
                        if not torch.compiler.is_compiling():
                            start = time.perf_counter()
                        y = torch.sin(x) + 1
                        if not torch.compiler.is_compiling():
                            self.took = 0 * (time.perf_counter() - start)
                        return y

                f = Timed()
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(4))"),
        ),
        Rewrites(
            before="""
                from time import monotonic
                from torch import cos

                def f(x, stats: dict):
                    began = monotonic()
                    y = cos(x)
                    passed = monotonic() - began  # seconds
                    stats["cos"] = passed < 0
                    return y * 2
            """,
            after="""
                from time import monotonic
                import torch
                from torch import cos

                def f(x, stats: dict):
                    if not torch.compiler.is_compiling():
                        began = monotonic()
                    y = cos(x)
                    if not torch.compiler.is_compiling():
                        passed = monotonic() - began  # seconds
                        stats["cos"] = passed < 0
                    return y * 2
            """,
            calls=("f(torch.ones(3), {'cos': False})", "f(torch.ones(4), {'cos': False})"),
        ),
        Rewrites(
            before="""
                import datetime
                import torch

                class Step(torch.nn.Module):
                    seen = None

                    def forward(self, x, *, mark: bool = False):
                        if mark:
                            # when it was
                            self.seen = datetime.datetime.now().year > 1
                        return x.tanh() + 1

                f = Step()
                f.seen = True
            """,
            after="""
                import datetime
                import torch

                class Step(torch.nn.Module):
                    seen = None

                    def forward(self, x, *, mark: bool = False):
                        if mark:
                            # when it was
                            if not torch.compiler.is_compiling():
                                self.seen = datetime.datetime.now().year > 1
                        return x.tanh() + 1

                f = Step()
                f.seen = True
            """,
            calls=("f(torch.ones(3), mark=True)", "f(torch.ones(4))"),
        ),
        Leaves(
            source="""
                import torch

                class Peak(torch.nn.Module):
                    peak = 0.0

                    def forward(self, x):
                        self.peak = x.max().item()
                        return x + 1

                f = Peak()
            """,
            calls=("f(torch.ones(3))",),
        ),
        Leaves(
            source="""
                import time

                def f(x, stats: dict):
                    now = time.time()
                    stats["now"] = now
                    return x + 1, now
            """,
        ),
    )
