"""GF302: a progress bar around a loop."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module
from graphfix.source.tensors import is_compiled

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

    def find(self, module: Module) -> Iterator[Site]:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.For) and _items(node.iter) is not None and is_compiled(module, node):
                yield Site(module, node.iter)

    def rewrite(self, site: Site) -> Rewrite | None:
        for node in (site.node, *site.module.parents(site.node)):
            loop = node.iter if isinstance(node, ast.For | ast.comprehension) else None
            if loop is not None and (items := _items(loop)) is not None:
                template = "{items} if {torch}.compiler.is_compiling() else {bar}"
                if isinstance(loop, ast.Call) and dotted(loop.func).endswith("trange"):
                    return self._range(site, loop)
                if isinstance(node, ast.comprehension):
                    template = f"({template})"
                return site.replace(loop, template, items=items, bar=loop)
            if isinstance(node, ast.stmt):
                return None
        return None

    def _range(self, site: Site, loop: ast.Call) -> Rewrite | None:
        names = {f"a{i}": argument for i, argument in enumerate(loop.args)}
        arguments = ", ".join(f"{{{name}}}" for name in names)
        template = f"range({arguments}) if {{torch}}.compiler.is_compiling() else {{bar}}"
        return site.replace(loop, template, bar=loop, **names)

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


def _items(loop: ast.expr) -> ast.expr | None:
    """What a progress bar goes over: its first argument (the call itself for `trange`)."""
    if not isinstance(loop, ast.Call) or not all(is_pure(keyword.value) for keyword in loop.keywords):
        return None
    name = dotted(loop.func)
    if name.rpartition(".")[2] == "trange":
        return loop if loop.args else None
    if name not in _BARS or any(isinstance(argument, ast.Starred) for argument in loop.args):
        return None
    named = [keyword.value for keyword in loop.keywords if keyword.arg in {"iterable", "sequence"}]
    return loop.args[0] if loop.args else named[0] if named else None
