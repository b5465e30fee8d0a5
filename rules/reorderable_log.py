"""GF604: let Dynamo print after the graph."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._match import dotted, meaning
from ._settings import with_setting


class ReorderableLog(Rule):
    """What it does:
        Adds `print` or `warnings.warn` to `torch._dynamo.config.reorderable_logging_functions`, so that compiled code
        still writes its lines, after the graph has run. For those who want the message more than the order:
        `--unsafe --ignore GF301`.

    Why it breaks the graph:
        Dynamo cannot put output into a graph (GB0059, GB0007); with this setting it keeps the arguments and writes
        them at the end of the graph.

    Example:
        import torch

        torch._dynamo.config.reorderable_logging_functions.add(print)

    Safety:
        Unsafe. It holds for the whole process. Lines come later than in eager code and in groups, what they show of a
        tensor that is written to is what it holds then, and printing a tensor still waits for the device. Importing
        the module now loads `torch._dynamo`, which takes about a second.
    """

    code, name = "GF604", "reorderable-log"
    title = "let Dynamo print after the graph"
    safety = Safety.UNSAFE
    repairs = frozenset({"GB0059", "GB0007"})

    def rewrites(self, site: Site) -> Iterator[Rewrite | None]:
        called = site.node.func if isinstance(site.node, ast.Call) else None
        if called is None:
            return
        if dotted(called) == "print":
            yield from with_setting(site, "reorderable_logging_functions.add(print)", "print")
        elif meaning(site.module, called) == "warnings.warn":
            yield from with_setting(site, "reorderable_logging_functions.add({warnings}.warn)")

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x):
                    y = torch.sin(x)
                    print("mean", y.mean())
                    return y * 2
            """,
            after="""
                import torch

                torch._dynamo.config.reorderable_logging_functions.add(print)

                def f(x):
                    y = torch.sin(x)
                    print("mean", y.mean())
                    return y * 2
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(4))"),
        ),
        Rewrites(
            before="""
                import warnings
                import torch

                class Clipped(torch.nn.Module):
                    def forward(self, x, *, limit: float = 1.0):
                        if limit < 1:
                            # tell, and go on
                            warnings.warn("a low limit", stacklevel=2)
                        return x.clamp(max=limit) + 1

                f = Clipped()
            """,
            after="""
                import warnings
                import torch

                torch._dynamo.config.reorderable_logging_functions.add(warnings.warn)

                class Clipped(torch.nn.Module):
                    def forward(self, x, *, limit: float = 1.0):
                        if limit < 1:
                            # tell, and go on
                            warnings.warn("a low limit", stacklevel=2)
                        return x.clamp(max=limit) + 1

                f = Clipped()
            """,
            calls=("f(torch.ones(3), limit=0.5)", "f(torch.ones(4))"),
        ),
        Rewrites(
            before="""
                from torch import cos

                def f(x, names=("a", "b")):
                    for name in names:
                        x = cos(x)
                        print(f"{name}: {x.sum()}")
                    return x
            """,
            after="""
                import torch
                from torch import cos

                torch._dynamo.config.reorderable_logging_functions.add(print)

                def f(x, names=("a", "b")):
                    for name in names:
                        x = cos(x)
                        print(f"{name}: {x.sum()}")
                    return x
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(4), names=('c',))"),
        ),
        Leaves(
            source="""
                import logging

                def f(x):
                    y = x + 1
                    logging.getLogger("f").warning("y")
                    return y * 2
            """,
            calls=("f(torch.ones(3))",),
        ),
        Leaves(
            source="""
                import torch

                torch._dynamo.config.reorderable_logging_functions.add(print)

                def f(x):
                    y = x + 1
                    print("y", open("/dev/null"))
                    return y * 2
            """,
            calls=("f(torch.ones(3))",),
        ),
    )
