"""GF302: a progress bar around a loop."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._match import dotted, is_pure

_BARS = frozenset({"tqdm", "tqdm.tqdm", "tqdm.auto.tqdm", "tqdm.notebook.tqdm", "tqdm_notebook", "auto_tqdm", "track"})


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
    repairs = frozenset({"GB0007", "GB0008", "GB0059", "GB0156"})
    marks = ("tqdm", "trange", "track(")

    def find(self, module: Module) -> Iterator[Site]:
        for node in module.analysis.nodes(ast.For):
            if isinstance(node, ast.For) and _items(node.iter) is not None:
                yield Site(module, node.iter)

    def rewrite(self, site: Site) -> Rewrite | None:
        for node in (*getattr(site.node, "generators", ()), site.node, *site.module.parents(site.node)):
            if isinstance(node, ast.For | ast.comprehension) and (items := _items(node.iter)) is not None:
                template, parts = items
                template += " if {torch}.compiler.is_compiling() else {bar}"
                if isinstance(node, ast.comprehension):  # its own `if` comes after
                    template = f"({template})"
                return site.replace(node.iter, template, bar=node.iter, **parts)
            if isinstance(node, ast.stmt):
                return None
        return None

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
        Leaves(
            source="""
                from tqdm import tqdm

                def f(x, steps):
                    bar = tqdm(steps, disable=True)
                    for step in bar:
                        x = x + step
                        bar.set_description("step")
                    return x
            """,
            calls=("f(torch.ones(3), [1, 2])",),
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


def _items(loop: ast.expr) -> tuple[str, dict[str, ast.expr]] | None:
    """What a progress bar goes over, as a template and its parts: its first argument, or the range of `trange`."""
    if not isinstance(loop, ast.Call) or not all(is_pure(keyword.value) for keyword in loop.keywords):
        return None
    if any(isinstance(argument, ast.Starred) for argument in loop.args):
        return None
    name = dotted(loop.func)
    if name.rpartition(".")[2] == "trange" and loop.args:
        parts = {f"bound{number}": bound for number, bound in enumerate(loop.args)}
        return f"range({', '.join(f'{{{part}}}' for part in parts)})", parts
    if name not in _BARS:
        return None
    named = [keyword.value for keyword in loop.keywords if keyword.arg in {"iterable", "sequence"}]
    items = (*loop.args[:1], *named)
    return ("{items}", {"items": items[0]}) if items else None
