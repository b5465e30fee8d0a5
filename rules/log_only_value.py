"""GF303: values that only log calls use: clocks, timers, numbers read from tensors to be shown."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._effects import EFFECT_BREAKS, LogOnly, eager_only, guarded, is_housekeeping, statement_of
from ._match import is_log_statement

_CLOCKS = frozenset(
    "time perf_counter perf_counter_ns monotonic monotonic_ns process_time time_ns default_timer now utcnow today "
    "memory_allocated max_memory_allocated Event isEnabledFor uuid4 uuid1 getpid get_ident".split()
)


class LogOnlyValue(Rule):
    """What it does:
        Lets statements that serve a log line and nothing else run in eager code alone, all of them together: reading
        the clock, a number taken from a tensor to be shown, CUDA events, what is computed from these, the question
        to a logger, and the log calls themselves.

    Why it breaks the graph:
        Dynamo does not trace clocks, loggers and the like (GB0007, GB0156, GB0291), and ends the graph to take a number
        out of a tensor (GB0124). Here nothing that is computed needs them.

    Example:
        start = time.perf_counter()
        y = self.layer(x)
        print("took", time.perf_counter() - start)

        if not torch.compiler.is_compiling():
            start = time.perf_counter()
        y = self.layer(x)
        if not torch.compiler.is_compiling():
            print("took", time.perf_counter() - start)

    Safety:
        Exact. Eager code does what it did. Every name that is not bound in compiled code any more is used by these
        statements alone, and what they evaluate has no effect of its own. Compiled code is silent.
    """

    code, name = "GF303", "log-only-value"
    title = "keep what only a log line needs out of the graph"
    safety = Safety.EXACT
    repairs = EFFECT_BREAKS

    def find(self, module: Module) -> Iterator[Site]:
        for call in module.analysis.calls(_CLOCKS):
            site = Site(module, call)
            if _group(site) is not None:
                yield site

    def rewrite(self, site: Site) -> Rewrite | None:
        statements = _group(site)
        return guarded(site, statements) if statements else None

    cases = (
        Rewrites(
            before="""
                import time
                import torch

                def f(x):
                    start = time.perf_counter()
                    # the work
                    y = torch.sin(x) + 1
                    elapsed = time.perf_counter() - start  # seconds
                    print(f"took {elapsed:.6f}")
                    return y * 2
            """,
            after="""
                import time
                import torch

                def f(x):
                    if not torch.compiler.is_compiling():
                        start = time.perf_counter()
                    # the work
                    y = torch.sin(x) + 1
                    if not torch.compiler.is_compiling():
                        elapsed = time.perf_counter() - start  # seconds
                        print(f"took {elapsed:.6f}")
                    return y * 2
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(4))"),
        ),
        Rewrites(
            before="""
                import contextlib
                from time import time as now
                from torch import nn

                @contextlib.contextmanager
                def measured(name: str):
                    began = now()
                    yield
                    print(
                        name,
                        now() - began,
                    )

                class Block(nn.Module):
                    def forward(self, x):
                        with measured("block"):
                            x = x.relu()
                        return x + 1

                f = Block()
            """,
            after="""
                import contextlib
                from time import time as now
                import torch
                from torch import nn

                @contextlib.contextmanager
                def measured(name: str):
                    if not torch.compiler.is_compiling():
                        began = now()
                    yield
                    if not torch.compiler.is_compiling():
                        print(
                            name,
                            now() - began,
                        )

                class Block(nn.Module):
                    def forward(self, x):
                        with measured("block"):
                            x = x.relu()
                        return x + 1

                f = Block()
            """,
            calls=("f(torch.ones(3))", "f(-torch.ones(4))"),
        ),
        Rewrites(
            before="""
                import logging
                import torch

                log = logging.getLogger(__name__)

                def f(x, layers: int):
                    worst = 0.0
                    for number in range(layers):
                        x = torch.tanh(x) * 2
                        peak = x.abs().max().item()
                        worst = max(worst, peak)
                        if peak > 1.5:
                            log.warning("layer %d: %s", number, peak)
                    log.info("worst %s", worst)
                    return x
            """,
            after="""
                import logging
                import torch

                log = logging.getLogger(__name__)

                def f(x, layers: int):
                    if not torch.compiler.is_compiling():
                        worst = 0.0
                    for number in range(layers):
                        x = torch.tanh(x) * 2
                        if not torch.compiler.is_compiling():
                            peak = x.abs().max().item()
                            worst = max(worst, peak)
                            if peak > 1.5:
                                log.warning("layer %d: %s", number, peak)
                    if not torch.compiler.is_compiling():
                        log.info("worst %s", worst)
                    return x
            """,
            calls=("f(torch.ones(3), 2)", "f(torch.ones(4), layers=3)"),
        ),
        Rewrites(
            before="""
                import logging
                import torch

                class Head(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.logger = logging.getLogger("head")

                    def forward(self, x):
                        x = x.cos()
                        if self.logger.isEnabledFor(logging.DEBUG):
                            # costly
                            self.logger.debug("norm %f", float(x.norm()))
                        return x + 1

                f = Head()
            """,
            after="""
                import logging
                import torch

                class Head(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.logger = logging.getLogger("head")

                    def forward(self, x):
                        x = x.cos()
                        if not torch.compiler.is_compiling() and self.logger.isEnabledFor(logging.DEBUG):
                            # costly
                            self.logger.debug("norm %f", float(x.norm()))
                        return x + 1

                f = Head()
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(4))"),
        ),
        Leaves(
            source="""
                import time

                def f(x):
                    start = time.time()
                    y = x.sin()
                    print(time.time() - start)
                    return y, start
            """,
            calls=(),
        ),
        Leaves(
            source="""
                import torch
                import time

                class Timed(torch.nn.Module):
                    def forward(self, x):
                        start = time.time()
                        y = x + 1
                        self.took = time.time() - start
                        return y

                f = Timed()
            """,
            calls=("f(torch.ones(3))",),
        ),
        Leaves(
            source="""
                def f(x):
                    peak = x.max().item()
                    print(peak)
                    return x / peak
            """,
            calls=("f(torch.ones(3))",),
        ),
        Leaves(
            source="""
                def f(x, names):
                    last = names.pop()
                    y = x + 1
                    print(last, float(y.sum()))
                    return y * 2
            """,
            calls=(),
        ),
    )


def _group(site: Site) -> list[ast.stmt] | None:
    """The statements to leave out together; None where there is more to them than output, or nothing but log calls."""
    statement = statement_of(site)
    if statement is None or eager_only(site.module, statement) or _alone(site.module, statement):
        return None
    return LogOnly(site.module, statement).statements


def _alone(module: Module, statement: ast.stmt) -> bool:
    return is_log_statement(statement, module) or is_housekeeping(module, statement)
