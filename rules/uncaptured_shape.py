"""GF602: let Dynamo capture operations whose shape depends on data."""

from __future__ import annotations

from collections.abc import Iterator

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._settings import with_setting


class UncapturedShape(Rule):
    """What it does:
        Sets `torch._dynamo.config.capture_dynamic_output_shape_ops` below the imports of the module whose function is
        compiled.

    Why it breaks the graph:
        `nonzero`, `unique`, `x[mask]` and their like have a result whose size is in the data: Dynamo ends the graph at
        them (GB0036, GB0246), unless this setting lets it capture them with a size that is not known before the run.

    Example:
        import torch

        torch._dynamo.config.capture_dynamic_output_shape_ops = True

    Safety:
        Unsafe, and only with a proof. It holds for the whole process, for code that this rewrite never saw too. The
        device is still waited for at each such operation, and CUDA graphs leave it out. Code that asks for the size
        later may fail. Importing the module now loads `torch._dynamo`, which takes about a second.
    """

    code, name = "GF602", "uncaptured-shape"
    title = "let Dynamo capture operations whose shape depends on data"
    safety = Safety.UNSAFE
    repairs = frozenset({"GB0036", "GB0246"})

    def rewrites(self, site: Site) -> Iterator[Rewrite | None]:
        yield from with_setting(site, "capture_dynamic_output_shape_ops = True")

    cases = (
        Rewrites(
            before="""
                import torch

                def positive(x):
                    return x[x > 0].sum() * 2
            """,
            after="""
                import torch

                torch._dynamo.config.capture_dynamic_output_shape_ops = True

                def positive(x):
                    return x[x > 0].sum() * 2
            """,
            calls=("positive(torch.arange(-2.0, 4.0))", "positive(torch.arange(-1.0, 6.0))"),
        ),
        Rewrites(
            before="""
                from torch import nn
                import torch

                class Count(nn.Module):
                    def forward(self, ids, weight=None):
                        found = torch.unique(ids)
                        return found.float().mean() if weight is None else found.float().mean() * weight

                f = Count()
            """,
            after="""
                from torch import nn
                import torch

                torch._dynamo.config.capture_dynamic_output_shape_ops = True

                class Count(nn.Module):
                    def forward(self, ids, weight=None):
                        found = torch.unique(ids)
                        return found.float().mean() if weight is None else found.float().mean() * weight

                f = Count()
            """,
            calls=("f(torch.tensor([1, 1, 2]))", "f(torch.tensor([1, 5, 2, 2]), weight=torch.tensor(2.0))"),
        ),
        Rewrites(
            before="""
                from torch.nn import functional

                def f(x, *, keep):
                    rows = keep.nonzero(as_tuple=False).squeeze(-1)
                    # only these
                    return functional.relu(x.index_select(0, rows)).sum()
            """,
            after="""
                import torch
                from torch.nn import functional

                torch._dynamo.config.capture_dynamic_output_shape_ops = True

                def f(x, *, keep):
                    rows = keep.nonzero(as_tuple=False).squeeze(-1)
                    # only these
                    return functional.relu(x.index_select(0, rows)).sum()
            """,
            calls=(
                "f(torch.ones(3), keep=torch.tensor([True, False, True]))",
                "f(torch.ones(4), keep=torch.tensor([True, False, True, True]))",
            ),
        ),
        Leaves(
            source="""
                import torch

                torch._dynamo.config.capture_dynamic_output_shape_ops = True

                def f(x):
                    return x * x.max().item()
            """,
            calls=("f(torch.ones(3))",),
        ),
        Leaves(
            source="""
                def f(x):
                    print("x")
                    return x + 1
            """,
            calls=("f(torch.ones(3))",),
        ),
    )
