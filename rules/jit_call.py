"""GF511: TorchScript asked for in compiled code."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import FUNCTIONS, Module

_CONTEXTS = frozenset({"torch.jit.strict_fusion", "torch.jit.optimized_execution", "torch.jit.fuser"})


class JitCall(Rule):
    """What it does:
        Calls a function itself, while compiling, where code hands it to `torch.jit.fork`, `script` or `trace`; takes
        what `torch.jit.wait` waits for as it is; enters no context that only TorchScript looks at.

    Why it breaks the graph:
        Dynamo does not trace TorchScript's own functions (GB0007, GB4695, GB0142). It inlines the Python function.

    Example:
        future = torch.jit.fork(self.left, x)
        y = torch.jit.wait(future)

        future = self.left(x) if torch.compiler.is_compiling() else torch.jit.fork(self.left, x)
        y = future if torch.compiler.is_compiling() else torch.jit.wait(future)

    Safety:
        Proven. Eager code is what it was. Compiled code runs the functions one after the other, in the order of the
        text, with the same results where they do not depend on running at once.
    """

    code, name = "GF511", "jit-call"
    title = "call the function itself, not TorchScript's form of it, while compiling"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0007", "GB0008", "GB4695", "GB0142", "GB0156"})

    def rewrite(self, site: Site) -> Rewrite | None:
        around = next((one for one in site.module.parents(site.node) if isinstance(one, FUNCTIONS)), None)
        if around is None:
            return None
        statement = site.enclosing(ast.stmt) or site.node
        head = [item.context_expr for item in statement.items] if isinstance(statement, ast.With) else [statement]
        found = [change for one in head if (change := _context(site.module, one)) is not None]
        if not found:
            found = list(_changes(site.module, around))
            if not any(statement in (one, *site.module.parents(one)) for one, *_ in found):
                return None
        return site.replace_each(found)

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x, y):
                    left = torch.jit.fork(torch.sin, x)
                    right = torch.cos(y)
                    return torch.jit.wait(left) + right
            """,
            after="""
                import torch

                def f(x, y):
                    left = torch.sin(x) if torch.compiler.is_compiling() else torch.jit.fork(torch.sin, x)
                    right = torch.cos(y)
                    return (left if torch.compiler.is_compiling() else torch.jit.wait(left)) + right
            """,
            calls=("f(torch.ones(2), torch.ones(2))", "f(torch.ones(3), torch.ones(3))"),
        ),
        Rewrites(
            before="""
                import torch

                class Double(torch.nn.Module):
                    @staticmethod
                    def twice(x, by: int = 2):
                        return x * by

                    def forward(self, x):
                        fused = torch.jit.script(self.twice)
                        return fused(x, by=3) + 1

                f = Double()
            """,
            after="""
                import torch

                class Double(torch.nn.Module):
                    @staticmethod
                    def twice(x, by: int = 2):
                        return x * by

                    def forward(self, x):
                        fused = self.twice if torch.compiler.is_compiling() else torch.jit.script(self.twice)
                        return fused(x, by=3) + 1

                f = Double()
            """,
            calls=("f(torch.ones(2))", "f(torch.ones(3))"),
        ),
        Rewrites(
            before="""
                import torch as t
                from torch.jit import fork, wait

                def f(x, *, parts: int = 2):
                    ahead = [fork(t.relu, one) for one in x.chunk(parts)]
                    done = [wait(one) for one in ahead]  # in order
                    with t.jit.optimized_execution(False):
                        return sum(done)
            """,
            after="""
                import contextlib

                import torch as t
                from torch.jit import fork, wait

                def f(x, *, parts: int = 2):
                    ahead = [t.relu(one) if t.compiler.is_compiling() else fork(t.relu, one) for one in x.chunk(parts)]
                    done = [one if t.compiler.is_compiling() else wait(one) for one in ahead]  # in order
                    with contextlib.nullcontext() if t.compiler.is_compiling() else t.jit.optimized_execution(False):
                        return sum(done)
            """,
            calls=("f(torch.ones(4))", "f(torch.ones(6))"),
        ),
        Leaves(
            source="""
                import torch

                @torch.jit.script
                def twice(x):
                    return x * 2

                def f(x):
                    if torch.jit.is_scripting():
                        return x
                    return twice(x) + 1
            """,
            calls=("f(torch.ones(2))",),
        ),
        Leaves(
            source="""
                import torch

                class Pool:
                    def fork(self, function, x):
                        return function(x)

                jit = Pool()

                def f(x):
                    return jit.fork(torch.sin, x) + 1
            """,
            calls=("f(torch.ones(2))",),
        ),
    )


Change = tuple[ast.expr, str, dict[str, ast.expr]]


def _changes(module: Module, function: ast.AST) -> Iterator[Change]:
    """All that a function asks of TorchScript, and what to put there."""
    for node in ast.walk(function):
        if not isinstance(node, ast.Call) or not node.args or any(isinstance(one, ast.Starred) for one in node.args):
            continue
        meaning, first = module.analysis.meaning(node.func), node.args[0]
        if meaning == "torch.jit.fork" and all(keyword.arg for keyword in node.keywords):
            given = [f"{{a{number}}}" for number in range(1, len(node.args))]
            given += [f"{keyword.arg}={{k{number}}}" for number, keyword in enumerate(node.keywords)]
            parts = {f"a{number}": one for number, one in enumerate(node.args)}
            parts |= {f"k{number}": keyword.value for number, keyword in enumerate(node.keywords)}
            text = f"{{a0}}({', '.join(given)}) if {{torch}}.compiler.is_compiling() else {{call}}"
            yield node, text, {**parts, "call": node}
        elif meaning in ("torch.jit.wait", "torch.jit.script", "torch.jit.trace"):
            yield node, "{own} if {torch}.compiler.is_compiling() else {call}", {"own": first, "call": node}


def _context(module: Module, manager: ast.AST) -> Change | None:
    if not isinstance(manager, ast.Call) or module.analysis.meaning(manager.func) not in _CONTEXTS:
        return None
    template = "{contextlib}.nullcontext() if {torch}.compiler.is_compiling() else {call}"
    return manager, template, {"call": manager}
