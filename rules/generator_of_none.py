"""GF518: `torch.randn(shape, generator=generator)` where the generator is None."""

from __future__ import annotations

import ast
from typing import ClassVar

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._calls import arguments


class GeneratorOfNone(Rule):
    """What it does:
        Hands a random generator on where there is one, and leaves the argument out where it is None.

    Why it breaks the graph:
        It does not while all sizes are numbers. Once a size varies between calls, Dynamo fails: with the argument,
        torch takes the form of `randn` and its like that knows no symbolic sizes ("SymIntArrayRef expected to contain
        only concrete integers", torch 2.13), even where it is None.

    Example:
        noise = torch.randn(shape, generator=generator)

        noise = torch.randn(shape, **({} if generator is None else {"generator": generator}))

    Safety:
        Exact. `generator=None` is what the argument is by default.
    """

    code, name = "GF518", "generator-of-none"
    title = "leave out a generator that is None"
    safety = Safety.EXACT
    failures: ClassVar[tuple[str, ...]] = ("SymIntArrayRef expected to contain only concrete integers",)

    def rewrite(self, site: Site) -> Rewrite | None:
        calls = (node for node in ast.walk(site.node) if isinstance(node, ast.Call))
        changes = [(call, *found) for call in calls if (found := _without_none(call)) is not None]
        return site.replace_each(changes) if changes else None

    cases = (
        Rewrites(
            before="""
                import torch

                def noise(shape, generator=None, device=None):
                    # as the model wants it
                    return torch.rand(shape, generator=generator, device=device)

                def f(x, generator=None):
                    return x + noise(x.shape, generator)
            """,
            after="""
                import torch

                def noise(shape, generator=None, device=None):
                    # as the model wants it
                    return torch.rand(shape, device=device, **({} if generator is None else {"generator": generator}))

                def f(x, generator=None):
                    return x + noise(x.shape, generator)
            """,
            calls=("f(torch.ones(2, 3))", "f(torch.ones(5, 3))"),
        ),
        Leaves(
            source="""
                import torch

                def f(x, generator=None):
                    return x + torch.randn(2, 3, generator=generator)
            """,
            calls=("f(torch.ones(2, 3))", "f(torch.ones(1, 3))"),
        ),
    )


def _without_none(call: ast.Call) -> tuple[str, dict[str, ast.AST]] | None:
    """Template and parts of the call that hands on a generator only where there is one; None for another call."""
    given = next((one for one in call.keywords if one.arg == "generator"), None)
    if given is None or not isinstance(given.value, ast.Name | ast.Attribute):
        return None
    texts, parts = arguments(call, but=given)
    texts.append('**({} if {generator} is None else {"generator": {generator}})')
    return f"{{called}}({', '.join(texts)})", {**parts, "called": call.func, "generator": given.value}
