"""GF601: let Dynamo capture numbers read from tensors."""

from __future__ import annotations

from collections.abc import Iterator

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._settings import with_setting


class UncapturedScalar(Rule):
    """What it does:
        Sets `torch._dynamo.config.capture_scalar_outputs` below the imports of the module whose function is compiled.

    Why it breaks the graph:
        Dynamo ends the graph where a number is taken out of a tensor (GB0124, GB0109; GB0033 where torch takes it, as
        `torch.arange` does), unless this setting lets it stand in the graph as a number that is not known before the
        run.

    Example:
        import torch

        torch._dynamo.config.capture_scalar_outputs = True

    Safety:
        Unsafe, and only with a proof. It holds for the whole process, for code that this rewrite never saw too. The
        device is still waited for at each number, and CUDA graphs leave such a part out. What is done to the number
        later may fail: a branch on it is a new break, and an index by it can raise (torch 2.13). Importing the module
        now loads `torch._dynamo`, which takes about a second.
    """

    code, name = "GF601", "uncaptured-scalar"
    title = "let Dynamo capture numbers read from tensors"
    safety = Safety.UNSAFE
    repairs = frozenset({"GB0124", "GB0109", "GB0033"})

    def rewrites(self, site: Site) -> Iterator[Rewrite | None]:
        yield from with_setting(site, "capture_scalar_outputs = True")

    cases = (
        Rewrites(
            before="""
                import torch

                def scale(x):
                    peak = x.abs().max().item()
                    return x / peak
            """,
            after="""
                import torch

                torch._dynamo.config.capture_scalar_outputs = True

                def scale(x):
                    peak = x.abs().max().item()
                    return x / peak
            """,
            calls=("scale(torch.arange(1.0, 4.0))", "scale(torch.arange(1.0, 6.0))"),
        ),
        Rewrites(
            before="""
                # A layer.

                import math
                from torch import nn

                class Scaled(nn.Module):
                    def forward(self, x, *, floor: float = 1e-3):
                        # how loud it is
                        level = float(x.square().mean())
                        return x * level + floor

                f = Scaled()
            """,
            after="""
                # A layer.

                import math
                import torch
                from torch import nn

                torch._dynamo.config.capture_scalar_outputs = True

                class Scaled(nn.Module):
                    def forward(self, x, *, floor: float = 1e-3):
                        # how loud it is
                        level = float(x.square().mean())
                        return x * level + floor

                f = Scaled()
            """,
            calls=("f(torch.ones(3))", "f(torch.ones(5), floor=0.5)"),
        ),
        Rewrites(
            before="""
                from __future__ import annotations

                import torch as th

                def total(x: th.Tensor, counts: th.Tensor):
                    added = 0
                    for count in counts:
                        added = added + count.item()
                    return x + added
            """,
            after="""
                from __future__ import annotations

                import torch as th

                th._dynamo.config.capture_scalar_outputs = True

                def total(x: th.Tensor, counts: th.Tensor):
                    added = 0
                    for count in counts:
                        added = added + count.item()
                    return x + added
            """,
            calls=("total(torch.ones(3), torch.tensor([1, 2]))", "total(torch.ones(4), torch.tensor([3, 4]))"),
        ),
        Rewrites(
            before="""
                import torch

                def places(x, lengths):
                    steps = torch.arange(lengths.max(), device=x.device)
                    return x + (steps < lengths[:, None]).sum()
            """,
            after="""
                import torch

                torch._dynamo.config.capture_scalar_outputs = True

                def places(x, lengths):
                    steps = torch.arange(lengths.max(), device=x.device)
                    return x + (steps < lengths[:, None]).sum()
            """,
            calls=("places(torch.ones(3), torch.tensor([2, 5]))", "places(torch.ones(4), torch.tensor([3, 4]))"),
        ),
        Leaves(
            source="""
                import torch

                torch._dynamo.config.capture_scalar_outputs = True

                def f(x):
                    if x.sum() > 1:
                        return x + 1
                    return x * 2
            """,
            calls=("f(torch.ones(3))",),
        ),
        Leaves(
            source="""
                import torch

                def f(x):
                    return x[x > 0].sum()
            """,
            calls=("f(torch.ones(3))",),
        ),
    )
