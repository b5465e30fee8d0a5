"""GF702: `self.step += 1` in `forward`, and a result that depends on it."""

from __future__ import annotations

from collections.abc import Iterator

from graphfix.model import RECOMPILED
from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._indices import derived_names, guarded_names, selected
from ._settings import with_setting

_SETTING = "allow_unspec_int_on_nn_module"


class ModuleNumber(Rule):
    """What it does:
        Sets `torch._dynamo.config.allow_unspec_int_on_nn_module` below the imports of the module that holds the code.
        Where the number is an index beside others as well, it goes into `select` (see GF701).

    Why it breaks the graph:
        It does not, but Dynamo takes the whole numbers on a module for constants and compiles again for each value of
        one that varies, such as a counter of steps, until the recompile limit leaves the rest to eager. With this
        setting they may vary, and the function is compiled once more at most.

    Example:
        import torch

        torch._dynamo.config.allow_unspec_int_on_nn_module = True

    Safety:
        Unsafe, and only with a proof. It holds for the whole process: numbers that never change, such as the sizes that
        a module keeps, may be compiled as variables too once they differ between two modules, which costs speed.
        Importing the module now loads `torch._dynamo`, which takes about a second.
    """

    code, name = "GF702", "module-number"
    title = "let Dynamo take whole numbers on modules for variables"
    safety = Safety.UNSAFE
    repairs = frozenset({RECOMPILED})

    def rewrites(self, site: Site) -> Iterator[Rewrite | None]:
        if site.break_ is None or _SETTING not in site.break_.explanation:
            return
        function = site.module.function_of(site.node)
        for setting in with_setting(site, f"{_SETTING} = True"):
            yield setting
            if function is not None:
                names = derived_names(function, guarded_names(site))
                yield site.together(setting, selected(site, function, names))

    cases = (
        Rewrites(
            before="""
                import torch

                class Warmup(torch.nn.Module):
                    def __init__(self, now):
                        super().__init__()
                        self.now = now

                    def forward(self, x):
                        self.now += 1
                        return x * min(1.0, self.now / 10)
            """,
            after="""
                import torch

                torch._dynamo.config.allow_unspec_int_on_nn_module = True

                class Warmup(torch.nn.Module):
                    def __init__(self, now):
                        super().__init__()
                        self.now = now

                    def forward(self, x):
                        self.now += 1
                        return x * min(1.0, self.now / 10)
            """,
            calls=tuple(f"Warmup({n})(torch.ones(3))" for n in (2, 3, 4, 5)),
        ),
        Leaves(
            source="""
                import torch

                class Warmup(torch.nn.Module):
                    def __init__(self, rate):
                        super().__init__()
                        self.rate = rate

                    def forward(self, x):
                        return x * self.rate
            """,
            calls=tuple(f"Warmup({n})(torch.ones(3))" for n in (0.5, 0.25, 0.125)),
        ),
    )
