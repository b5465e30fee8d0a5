"""GF516: a module imported by a call."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site


class ImportByCall(Rule):
    """What it does:
        Writes `import package.module as name` for `name = importlib.import_module("package.module")` in a function.

    Why it breaks the graph:
        Dynamo does not trace the call (GB0007), but follows the statement.

    Example:
        backend = importlib.import_module("kernels.fast")
        import kernels.fast as backend

    Safety:
        Proven. Both import the same module at the same moment and fail alike.
    """

    code, name = "GF516", "import-by-call"
    title = "import by the statement, not by a call"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0007", "GB0059"})

    def rewrite(self, site: Site) -> Rewrite | None:
        statement = site.enclosing(ast.stmt)
        if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
            return None
        target, call = statement.targets[0], statement.value
        if not isinstance(target, ast.Name) or not isinstance(call, ast.Call) or len(call.args) != 1 or call.keywords:
            return None
        named = call.args[0].value if isinstance(call.args[0], ast.Constant) else None
        if not isinstance(named, str) or not all(part.isidentifier() for part in named.split(".")):
            return None
        whole = site.module.analysis.meaning(call.func) == "importlib.import_module"
        if not whole and not (isinstance(call.func, ast.Name) and call.func.id == "__import__" and "." not in named):
            return None
        own = "" if named == target.id else f" as {target.id}"
        return site.replace(statement, f"import {named}{own}\n")

    cases = (
        Rewrites(
            before="""
                import importlib
                import torch

                def f(x):
                    constants = importlib.import_module("math")
                    return x * constants.pi
            """,
            after="""
                import importlib
                import torch

                def f(x):
                    import math as constants
                    return x * constants.pi
            """,
            calls=("f(torch.ones(2))", "f(torch.ones(3))"),
        ),
        Rewrites(
            before="""
                from importlib import import_module
                import torch

                class Act(torch.nn.Module):
                    def forward(self, x, *, fast: bool = True):
                        if fast:
                            # late, for it is large
                            functional = import_module("torch.nn.functional")
                            x = functional.gelu(x)
                        return x + 1

                f = Act()
            """,
            after="""
                from importlib import import_module
                import torch

                class Act(torch.nn.Module):
                    def forward(self, x, *, fast: bool = True):
                        if fast:
                            # late, for it is large
                            import torch.nn.functional as functional
                            x = functional.gelu(x)
                        return x + 1

                f = Act()
            """,
            calls=("f(torch.ones(2))", "f(torch.ones(3))"),
        ),
        Rewrites(
            before="""
                import torch

                def f(x):
                    y = x.sin()
                    operator = __import__("operator")
                    return operator.add(y, 1)
            """,
            after="""
                import torch

                def f(x):
                    y = x.sin()
                    import operator
                    return operator.add(y, 1)
            """,
            calls=("f(torch.ones(2))", "f(torch.ones(3))"),
        ),
        Leaves(
            source="""
                import importlib
                import torch

                def f(x, name):
                    module = importlib.import_module(name)
                    return x * module.pi
            """,
            calls=("f(torch.ones(2), 'math')",),
        ),
        Leaves(
            source="""
                import torch

                def f(x):
                    import math as numbers
                    return x * numbers.pi
            """,
            calls=("f(torch.ones(2))",),
        ),
    )
