"""GF301: print, logging and warnings in compiled code."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._effects import EFFECT_BREAKS, eager_only
from ._match import is_harmless, is_log_statement


class LogCall(Rule):
    """What it does:
        Lets a statement that only prints, logs or warns run in eager code alone.

    Why it breaks the graph:
        Dynamo cannot put output into a graph: it ends the graph before the call and begins a new one after it
        (GB0059 print, GB0291 logging, GB0007 warnings, GB0156 streams and other libraries).

    Example:
        print("step", step)

        if not torch.compiler.is_compiling():
            print("step", step)

    Safety:
        Exact. Eager code prints as before; compiled code is silent. The arguments are left unevaluated there, so only
        calls whose arguments have no effect of their own are guarded.
    """

    code, name = "GF301", "log-call"
    title = "keep a log call out of the graph"
    safety = Safety.EXACT
    repairs = EFFECT_BREAKS

    def find(self, module: Module) -> Iterator[Site]:
        for node in module.analysis.nodes(ast.Expr):
            if is_log_statement(node, module) and not eager_only(module, node):
                yield Site(module, node)

    def rewrite(self, site: Site) -> Rewrite | None:
        statement = site.enclosing(ast.Expr)
        if statement is None or eager_only(site.module, statement):
            return None
        if not is_log_statement(statement, site.module) and not _is_named_logger(site, statement):
            return None
        return site.replace(statement, "if not {torch}.compiler.is_compiling():\n    {log}\n", log=statement)

    cases = (
        Rewrites(
            before="""
                def f(x, step):
                    x = x + 1
                    # progress
                    print(f"step {step}", x.shape)  # to stdout
                    return x * 2
            """,
            after="""
                import torch

                def f(x, step):
                    x = x + 1
                    # progress
                    if not torch.compiler.is_compiling():
                        print(f"step {step}", x.shape)  # to stdout
                    return x * 2
            """,
            calls=("f(torch.ones(3), 1)", "f(torch.ones(4), 2)"),
        ),
        Rewrites(
            before="""
                import functools
                import sys
                import torch

                say = functools.partial(print, file=sys.stderr)

                def f(x):
                    say("shape", x.shape)
                    return x * 2
            """,
            after="""
                import functools
                import sys
                import torch

                say = functools.partial(print, file=sys.stderr)

                def f(x):
                    if not torch.compiler.is_compiling():
                        say("shape", x.shape)
                    return x * 2
            """,
            calls=("f(torch.ones(3))",),
        ),
        Rewrites(
            before="""
                import logging
                import torch

                class Layer(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.log = logging.getLogger("layer")

                    def forward(self, x):
                        x = x.sin()
                        self.log.info(
                            "mean %s",
                            x.mean().item(),
                        )
                        return x.cos()

                f = Layer()
            """,
            after="""
                import logging
                import torch

                class Layer(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.log = logging.getLogger("layer")

                    def forward(self, x):
                        x = x.sin()
                        if not torch.compiler.is_compiling():
                            self.log.info(
                                "mean %s",
                                x.mean().item(),
                            )
                        return x.cos()

                f = Layer()
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(4))"),
        ),
        Rewrites(
            before="""
                import torch, warnings

                def f(x):
                    y = x + 1
                    if x.dim() > 1: warnings.warn("matrix")
                    return y * 2
            """,
            after="""
                import torch, warnings

                def f(x):
                    y = x + 1
                    if x.dim() > 1:
                        if not torch.compiler.is_compiling():
                            warnings.warn("matrix")
                    return y * 2
            """,
            calls=("f(torch.ones(3, 3))", "f(torch.ones(3))"),
        ),
        Rewrites(
            before="""
                import sys
                import time
                import torch

                def shown(x, rate: float = 0.5):
                    h = torch.tanh(x)
                    sys.stderr.write(f"{time.time():.0f}: rate {rate}\\n")  # unbuffered
                    return h * rate

                f = shown
            """,
            after="""
                import sys
                import time
                import torch

                def shown(x, rate: float = 0.5):
                    h = torch.tanh(x)
                    if not torch.compiler.is_compiling():
                        sys.stderr.write(f"{time.time():.0f}: rate {rate}\\n")  # unbuffered
                    return h * rate

                f = shown
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(4), rate=0.25)"),
        ),
        Rewrites(
            before="""
                from logging import getLogger
                import torch.nn.functional as F
                from torch import nn

                class Gate(nn.Module):
                    def forward(self, hidden, *, mask=None):
                        if mask is None:
                            getLogger("gate").warning("no mask")
                        else:
                            hidden = hidden * mask
                        return F.relu(hidden)

                f = Gate()
            """,
            after="""
                from logging import getLogger
                import torch
                import torch.nn.functional as F
                from torch import nn

                class Gate(nn.Module):
                    def forward(self, hidden, *, mask=None):
                        if mask is None:
                            if not torch.compiler.is_compiling():
                                getLogger("gate").warning("no mask")
                        else:
                            hidden = hidden * mask
                        return F.relu(hidden)

                f = Gate()
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(4), mask=torch.zeros(4))"),
        ),
        Rewrites(
            before="""
                import logging
                import torch
                from torch import nn

                class Noted(nn.Module):
                    journal = logging.getLogger("speech.frontend")

                    def note(self, what: str, value: torch.Tensor) -> torch.Tensor:
                        self.journal.debug("%s: %s", what, tuple(value.shape))
                        return value

                    def forward(self, wave):
                        return self.note("out", self.note("in", wave * 2).relu())

                f = Noted()
            """,
            after="""
                import logging
                import torch
                from torch import nn

                class Noted(nn.Module):
                    journal = logging.getLogger("speech.frontend")

                    def note(self, what: str, value: torch.Tensor) -> torch.Tensor:
                        if not torch.compiler.is_compiling():
                            self.journal.debug("%s: %s", what, tuple(value.shape))
                        return value

                    def forward(self, wave):
                        return self.note("out", self.note("in", wave * 2).relu())

                f = Noted()
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(4))"),
        ),
        Leaves(
            source="""
                import torch

                class Catalog:
                    def trace(self, x):
                        self.last = x.sum()

                class Layer(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.catalog = Catalog()

                    def forward(self, x):
                        self.catalog.trace(x)
                        return x * self.catalog.last

                f = Layer()
            """,
            calls=("f(torch.ones(3))",),
        ),
        Leaves(
            source="""
                def f(x, items):
                    y = x + 1
                    print(items.pop())
                    return y * 2
            """,
            calls=("f(torch.ones(3), [1, 2])",),
        ),
        Leaves(
            source="""
                import torch

                def f(x):
                    y = x + 1
                    if not torch.compiler.is_compiling():
                        print("y", y)
                    return y * 2
            """,
            calls=("f(torch.ones(3))",),
        ),
        Leaves(
            source="""
                def f(x):
                    y = x + 1
                    written = print("y")
                    return y * 2, written
            """,
            calls=("f(torch.ones(3))",),
        ),
    )


def _is_named_logger(site: Site, statement: ast.Expr) -> bool:
    """Whether Dynamo itself says that the statement calls a logger, whatever it is called."""
    call = statement.value
    if site.break_ is None or site.break_.id != "GB0291" or call is not site.node or not isinstance(call, ast.Call):
        return False
    values = (*call.args, *(keyword.value for keyword in call.keywords))
    return all(is_harmless(site.module, value) for value in values)
