"""GF612: a convolution over a size that is data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._settings import with_call


class ConvOverDataSize(Rule):
    """What it does:
        Tells Inductor to call torch's own convolution, below the imports of the module whose function is compiled.

    Why it breaks the graph:
        It does not: Inductor fails. Before it calls that convolution itself, it looks up which order of dimensions the
        result has in memory, and wants numbers for that, which it has not for a size that is known at run time only
        ("Could not extract specialized integer from data-dependent expression", torch 2.13).

    Example:
        import torch
        import torch._inductor.lowering

        torch._inductor.lowering.make_fallback(torch.ops.aten.convolution, warn=False)

    Safety:
        Unsafe, and only with a proof. It holds for the whole process: no convolution is laid out anew, or compiled by
        one of Inductor's own kernels (which `max-autotune` tries). Importing the module now loads Inductor, which takes
        some seconds.
    """

    code, name = "GF612", "conv-over-data-size"
    title = "let Inductor call torch's own convolution, whatever its size"
    safety = Safety.UNSAFE
    failures: ClassVar[tuple[str, ...]] = ("Could not extract specialized integer from data-dependent expression",)
    backend = "inductor"

    def rewrites(self, site: Site) -> Iterator[Rewrite | None]:
        if site.break_ is not None and "aten.convolution" in site.break_.explanation:
            call = "{torch}._inductor.lowering.make_fallback({torch}.ops.aten.convolution, warn=False)"
            yield from with_call(site, "torch._inductor.lowering", call)

    cases = (
        Rewrites(
            before="""
                import torch

                torch._dynamo.config.capture_scalar_outputs = True
                torch._inductor.config.force_disable_caches = True

                layer = torch.nn.Conv1d(1, 2, 3, padding=1).requires_grad_(False)

                def f(lengths):
                    steps = torch.arange(lengths.max(), dtype=torch.float)
                    torch._check(steps.shape[0] >= 2)
                    return layer(steps[None, None])
            """,
            after="""
                import torch
                import torch._inductor.lowering

                torch._inductor.lowering.make_fallback(torch.ops.aten.convolution, warn=False)

                torch._dynamo.config.capture_scalar_outputs = True
                torch._inductor.config.force_disable_caches = True

                layer = torch.nn.Conv1d(1, 2, 3, padding=1).requires_grad_(False)

                def f(lengths):
                    steps = torch.arange(lengths.max(), dtype=torch.float)
                    torch._check(steps.shape[0] >= 2)
                    return layer(steps[None, None])
            """,
            calls=("f(torch.tensor([2, 5]))", "f(torch.tensor([9, 4]))"),
        ),
        Leaves(
            source="""
                import torch

                torch._dynamo.config.capture_scalar_outputs = True

                layer = torch.nn.Conv1d(1, 2, 3, padding=1).requires_grad_(False)

                def f(x, lengths):
                    steps = torch.arange(lengths.max(), dtype=torch.float)
                    return layer(x).sum() + steps
            """,
            calls=("f(torch.ones(1, 1, 5), torch.tensor([2, 5]))", "f(torch.ones(1, 1, 8), torch.tensor([2, 5]))"),
        ),
    )
