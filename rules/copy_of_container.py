"""GF507: a shallow copy by the copy module."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._match import only_value


class CopyOfContainer(Rule):
    """What it does:
        Copies a list, dictionary or set with its own `copy` method instead of `copy.copy`; a tensor with `detach()`,
        which shares its memory as `copy.copy` does.

    Why it breaks the graph:
        Dynamo does not trace `copy.copy` (GB0007, GB0208). It knows the method.

    Example:
        outputs = copy.copy(inputs)
        outputs = inputs.copy()

    Safety:
        Proven. The two copy the same for Python's own containers. A class that defines `__copy__` and `copy` may tell
        them apart: a run has to show that it does not.
    """

    code, name = "GF507", "copy-of-container"
    title = "copy a container with its own method"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0007", "GB0208", "GB0156", "GB0059"})
    dual = True

    def rewrite(self, site: Site) -> Rewrite | None:
        return next(self.rewrites(site), None)

    def rewrites(self, site: Site) -> Iterator[Rewrite | None]:
        call = next((one for one in (site.node, *site.module.parents(site.node)) if isinstance(one, ast.Call)), None)
        if call is None or site.module.analysis.meaning(call.func) != "copy.copy" or len(call.args) != 1:
            return
        old = call.args[0]
        value = (only_value(site.module, old) if isinstance(old, ast.Name) else None) or old
        shared = site.module.analysis.tensor(old) or (site.break_ is not None and site.break_.id == "GB0208")
        if isinstance(value, ast.Tuple):
            return
        for template in ("{old}.detach()", "{old}.copy()") if shared else ("{old}.copy()", "{old}.detach()"):
            yield site.replace(call, template, old=old)

    cases = (
        Rewrites(
            before="""
                import copy
                import torch

                def f(x, options: dict):
                    options = copy.copy(options)  # ours to change
                    options.setdefault("scale", 2)
                    return x * options["scale"]
            """,
            after="""
                import copy
                import torch

                def f(x, options: dict):
                    options = options.copy()  # ours to change
                    options.setdefault("scale", 2)
                    return x * options["scale"]
            """,
            calls=("f(torch.ones(2, 3), {})", "f(torch.ones(3, 3), {'scale': 3})"),
        ),
        Rewrites(
            before="""
                from copy import copy
                import torch

                class Collect(torch.nn.Module):
                    def forward(self, xs):
                        seen = copy(
                            xs
                        )
                        for x in copy(xs):
                            seen.append(x + 1)
                        return torch.stack(seen)

                f = Collect()
            """,
            after="""
                from copy import copy
                import torch

                class Collect(torch.nn.Module):
                    def forward(self, xs):
                        seen = xs.copy()
                        for x in xs.copy():
                            seen.append(x + 1)
                        return torch.stack(seen)

                f = Collect()
            """,
            calls=("f([torch.ones(2), torch.zeros(2)])",),
        ),
        Rewrites(
            before="""
                import copy as c
                import torch

                def f(x):
                    y = c.copy(x)
                    y.mul_(2)
                    return y + x
            """,
            after="""
                import copy as c
                import torch

                def f(x):
                    y = x.detach()
                    y.mul_(2)
                    return y + x
            """,
            calls=("f(torch.ones(2, 3))", "f(torch.ones(3, 3))"),
        ),
        Leaves(
            source="""
                import copy
                import torch

                def f(x, sizes):
                    return x + copy.deepcopy(sizes)[0], sizes.copy()
            """,
            calls=("f(torch.ones(2), [1, 2])",),
        ),
        Leaves(
            source="""
                import copy
                import torch

                def f(x):
                    pair = (x, x + 1)
                    return copy.copy(pair)[1] * 2
            """,
            calls=("f(torch.ones(2))",),
        ),
    )
