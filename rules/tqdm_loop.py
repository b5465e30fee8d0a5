"""GF302: a progress bar around a loop."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._bars import bar_at, bar_items, is_library_bar, without_bar
from ._effects import eager_only


class TqdmLoop(Rule):
    """What it does:
        Loops over the items themselves while compiling, over the progress bar in eager code.

    Why it breaks the graph:
        Dynamo does not trace tqdm (GB0007); the loop over it then skips the whole function (GB0008), so that nothing
        after it is captured either.

    Example:
        for step in tqdm(steps):
        for step in steps if torch.compiler.is_compiling() else tqdm(steps):

    Safety:
        Exact. The items are the same and are made once; compiled code shows no bar.
    """

    code, name = "GF302", "tqdm-loop"
    title = "loop without the progress bar while compiling"
    safety = Safety.EXACT
    repairs = frozenset({"GB0007", "GB0008", "GB0059", "GB0156", "GB0142"})

    def find(self, module: Module) -> Iterator[Site]:
        for node in module.analysis.nodes(ast.For):
            if isinstance(node, ast.For) and (bar := _bar_in(module, node.iter)) is not None:
                yield Site(module, bar)

    def rewrite(self, site: Site) -> Rewrite | None:
        bar = bar_at(site, is_library_bar)
        if bar is None or isinstance(next(site.module.parents(bar)), ast.Assign | ast.withitem):
            return None
        return without_bar(site, bar)

    cases = (
        Rewrites(
            before="""
                import torch
                from tqdm import tqdm

                def f(x, a, b):
                    for one, two in tqdm(zip(a, b), disable=True):
                        x = x * one + two
                    return x
            """,
            after="""
                import torch
                from tqdm import tqdm

                def f(x, a, b):
                    for one, two in zip(a, b) if torch.compiler.is_compiling() else tqdm(zip(a, b), disable=True):
                        x = x * one + two
                    return x
            """,
            calls=("f(torch.ones(3), [1, 2], [3, 4])", "f(torch.ones(4), [1, 2], [3, 4])"),
        ),
        Rewrites(
            before="""
                import torch
                import tqdm

                def f(x, n: int):
                    xs = [x * i for i in tqdm.trange(n, disable=True)]
                    for y in tqdm.tqdm(xs, "xs", disable=True):
                        x = x + y
                    return x
            """,
            after="""
                import torch
                import tqdm

                def f(x, n: int):
                    xs = [x * i for i in (range(n) if torch.compiler.is_compiling() else tqdm.trange(n, disable=True))]
                    for y in xs if torch.compiler.is_compiling() else tqdm.tqdm(xs, "xs", disable=True):
                        x = x + y
                    return x
            """,
            calls=("f(torch.ones(3), 2)", "f(torch.ones(4), 2)"),
        ),
        Rewrites(
            before="""
                from tqdm.auto import tqdm
                import torch

                class Sampler(torch.nn.Module):
                    def forward(self, x, *, head, tail):
                        for index, (low, high) in enumerate(
                            tqdm(zip(head, tail), leave=False)
                        ):
                            # one step
                            x = x * low + high * index
                        return x

                f = Sampler()
            """,
            after="""
                from tqdm.auto import tqdm
                import torch

                class Sampler(torch.nn.Module):
                    def forward(self, x, *, head, tail):
                        for index, (low, high) in enumerate(
                            zip(head, tail) if torch.compiler.is_compiling() else tqdm(zip(head, tail), leave=False)
                        ):
                            # one step
                            x = x * low + high * index
                        return x

                f = Sampler()
            """,
            calls=("f(torch.ones(3), head=[1.0], tail=[0.5])", "f(torch.ones(4), head=[1.0, 0.5], tail=[0.5, 0.25])"),
        ),
        Leaves(
            source="""
                from tqdm import tqdm

                def f(x, steps):
                    bar = tqdm(steps, disable=True)
                    for step in bar:
                        x = x + step * bar.n
                    return x
            """,
            calls=("f(torch.ones(3), [1, 2])",),
        ),
        Leaves(
            source="""
                import torch
                from tqdm import tqdm

                class Steps(torch.nn.Module):
                    def forward(self, x: torch.Tensor, steps):
                        for step in steps if torch.compiler.is_compiling() else tqdm(steps):
                            x = x + step
                        return x

                f = Steps()
            """,
        ),
        Leaves(
            source="""
                def f(x, steps):
                    for step in steps:
                        x = x + step
                    return x
            """,
            calls=("f(torch.ones(3), [1, 2])",),
        ),
    )


def _bar_in(module: Module, head: ast.expr) -> ast.Call | None:
    calls = (node for node in ast.walk(head) if isinstance(node, ast.Call))
    bars = (one for one in calls if is_library_bar(module, one) and not eager_only(module, one))
    return next((bar for bar in bars if bar_items(module, bar)), None)
