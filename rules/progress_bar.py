"""GF304: a progress bar kept in a name, or as a context manager."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._bars import bar_at, bar_items, is_library_bar, is_named_bar, without_bar
from ._effects import EFFECT_BREAKS, eager_only, guarded
from ._match import is_harmless

_LOOPS = frozenset({"enumerate", "zip", "list", "tuple", "iter", "map", "filter"})


class ProgressBar(Rule):
    """What it does:
        Takes a progress bar out of compiled code with all that is done to it: the bar in a variable or a `with`, its
        `update`, `set_postfix` and `close`. Loops over it go over the items. Knows bars of libraries, and what is
        named as a progress bar (`self.progress_bar(…)`).

    Why it breaks the graph:
        Dynamo does not trace tqdm and its like (GB0007, GB0142); as a loop or a `with` is around it, the whole function
        is skipped.

    Example:
        with tqdm(total=len(steps)) as bar:
            for step in steps:
                x = self.step(x, step)
                bar.update(1)

        with contextlib.nullcontext() if torch.compiler.is_compiling() else tqdm(total=len(steps)) as bar:
            for step in steps:
                x = self.step(x, step)
                if not torch.compiler.is_compiling():
                    bar.update(1)

    Safety:
        Proven. Eager code shows its bar; compiled code has none. What is named as a bar and does more than show
        progress would show in the results.
    """

    code, name = "GF304", "progress-bar"
    title = "keep the progress bar out of the graph"
    safety = Safety.PROVEN
    repairs = EFFECT_BREAKS

    def rewrite(self, site: Site) -> Rewrite | None:
        module = site.module
        bar = bar_at(site, _is_any_bar) or _managed(site)
        if bar is None or eager_only(module, bar):
            return None
        place = next(module.parents(bar))
        if (target := _target(place)) is None:  # the loops over bars of libraries are another rule's
            is_item = isinstance(place, ast.withitem)
            return _taken_out(site, bar, False) if is_item or not is_library_bar(module, bar) else None
        updates = _updates(module, target, bar)
        if updates is None:
            return None
        if isinstance(place, ast.Assign) and bar_items(module, bar) is None:
            return guarded(site, [place, *updates]) if _looks_only(module, bar) else None
        taken_out = _taken_out(site, bar, _is_looped_over(module, target, bar))
        return Site.together(taken_out, guarded(site, updates)) if updates else taken_out

    cases = (
        Rewrites(
            before="""
                import torch
                from tqdm import tqdm

                def f(x, steps: int):
                    with tqdm(total=steps) as bar:
                        for step in range(steps):
                            x = torch.sin(x) + step
                            bar.set_postfix(mean=x.mean().item())
                            bar.update(1)  # one more
                    return x
            """,
            after="""
                import contextlib

                import torch
                from tqdm import tqdm

                def f(x, steps: int):
                    with contextlib.nullcontext() if torch.compiler.is_compiling() else tqdm(total=steps) as bar:
                        for step in range(steps):
                            x = torch.sin(x) + step
                            if not torch.compiler.is_compiling():
                                bar.set_postfix(mean=x.mean().item())
                                bar.update(1)  # one more
                    return x
            """,
            calls=("f(torch.ones(3), 2)", "f(torch.ones(4), 3)"),
        ),
        Rewrites(
            before="""
                import torch
                import tqdm

                def f(x, *, rounds):
                    progress = tqdm.tqdm(rounds, "rounds")
                    for factor in progress:
                        x = torch.cos(x) * factor
                        progress.set_description(f"factor {factor}")
                    progress.close()
                    return x
            """,
            after="""
                import torch
                import tqdm

                def f(x, *, rounds):
                    progress = rounds if torch.compiler.is_compiling() else tqdm.tqdm(rounds, "rounds")
                    for factor in progress:
                        x = torch.cos(x) * factor
                        if not torch.compiler.is_compiling():
                            progress.set_description(f"factor {factor}")
                    if not torch.compiler.is_compiling():
                        progress.close()
                    return x
            """,
            calls=("f(torch.ones(3), rounds=[1.0, 2.0])", "f(torch.ones(4), rounds=[0.5])"),
        ),
        Rewrites(
            before="""
                import torch
                from tqdm.auto import tqdm as bar_of

                class Sampler(torch.nn.Module):
                    def progress_bar(self, total):
                        return bar_of(total=total, disable=True)

                    def forward(self, x, steps, n=2):
                        with self.progress_bar(n) as bar:
                            for t in steps:
                                x = x * t
                                # shown to the user
                                bar.update()
                        return x

                f = Sampler()
            """,
            after="""
                import contextlib

                import torch
                from tqdm.auto import tqdm as bar_of

                class Sampler(torch.nn.Module):
                    def progress_bar(self, total):
                        return bar_of(total=total, disable=True)

                    def forward(self, x, steps, n=2):
                        with contextlib.nullcontext() if torch.compiler.is_compiling() else self.progress_bar(n) as bar:
                            for t in steps:
                                x = x * t
                                # shown to the user
                                if not torch.compiler.is_compiling():
                                    bar.update()
                        return x

                f = Sampler()
            """,
            calls=("f(torch.ones(3), [1.0, 2.0])", "f(torch.ones(4), [0.5])"),
        ),
        Leaves(
            source="""
                from tqdm import tqdm

                def f(x, steps):
                    bar = tqdm(steps, disable=True)
                    for step in bar:
                        x = x + step
                    return x * bar.n
            """,
            calls=("f(torch.ones(3), [1, 2])",),
        ),
        Leaves(
            source="""
                import torch
                from tqdm import tqdm

                class Layer(torch.nn.Module):
                    def forward(self, x, items):
                        with tqdm(total=1, disable=True) as bar:
                            bar.update(items.pop())
                        return x + 1

                f = Layer()
            """,
            calls=(),
        ),
    )


def _is_any_bar(module: Module, node: ast.AST) -> bool:
    return is_library_bar(module, node) or is_named_bar(module, node)


def _managed(site: Site) -> ast.Call | None:
    """The bar that a `with` at the break enters."""
    around = site.enclosing(ast.With)
    if around is None or not (site.node is around or any(site.node is item for item in around.items)):
        return None
    calls = (item.context_expr for item in around.items)
    return next((one for one in calls if isinstance(one, ast.Call) and _is_any_bar(site.module, one)), None)


def _target(place: ast.AST) -> ast.expr | None:
    if isinstance(place, ast.withitem):
        return place.optional_vars
    return place.targets[0] if isinstance(place, ast.Assign) else None


def _taken_out(site: Site, bar: ast.Call, looped_over: bool) -> Rewrite | None:
    if not isinstance(next(site.module.parents(bar)), ast.withitem):
        return without_bar(site, bar)
    found = bar_items(site.module, bar) if looped_over else None
    if found is None and not _looks_only(site.module, bar):
        return None
    items, parts = found or ("", {})
    template = f"{{contextlib}}.nullcontext({items}) if {{torch}}.compiler.is_compiling() else {{bar}}"
    return site.replace(bar, template, bar=bar, **parts)


def _looks_only(module: Module, call: ast.Call) -> bool:
    """Whether the arguments of a call have no effect of their own."""
    return all(is_harmless(module, value) for value in (*call.args, *(word.value for word in call.keywords)))


def _updates(module: Module, target: ast.expr, bar: ast.Call) -> list[ast.stmt] | None:
    """The statements that tell the bar something; None where it is used in another way than these, or looped over."""
    function = module.function_of(bar)
    if function is None or not isinstance(target, ast.Name):
        return None
    found = dict[ast.stmt, None]()
    for node in ast.walk(function):
        if not isinstance(node, ast.Name) or node.id != target.id or node is target or eager_only(module, node):
            continue
        update = _update(module, node) if module.function_of(node) is function else None
        if update is None:
            return None
        if isinstance(update, ast.stmt):
            found[update] = None
    return list(found)


def _is_looped_over(module: Module, target: ast.expr, bar: ast.Call) -> bool:
    function = module.function_of(bar)
    names = (node for node in ast.walk(function) if isinstance(node, ast.Name)) if function else ()
    named = (node for node in names if isinstance(target, ast.Name) and node.id == target.id and node is not target)
    return any(isinstance(_update(module, node), ast.Name) for node in named)


def _update(module: Module, name: ast.Name) -> ast.AST | None:
    """The statement `bar.update(…)` around a bar's name, or the name where it is looped over."""
    parent, call, statement, *_ = [*module.parents(name), None, None]
    if isinstance(parent, ast.For | ast.comprehension):
        return name if parent.iter is name else None
    if isinstance(parent, ast.Call) and name in parent.args:
        return name if isinstance(parent.func, ast.Name) and parent.func.id in _LOOPS else None
    if isinstance(parent, ast.Attribute) and isinstance(call, ast.Call) and isinstance(statement, ast.Expr):
        return statement if call.func is parent and _looks_only(module, call) else None
    return None
