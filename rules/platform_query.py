"""GF512: a question about the machine asked in compiled code."""

from __future__ import annotations

import ast
import re

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site

from ._hoist import defined_above

_QUERIES = frozenset(
    """
    torch.backends.mps.is_available torch.backends.mps.is_built torch.backends.mkldnn.is_available
    torch.backends.openmp.is_available torch.backends.mkl.is_available torch.backends.cuda.is_built
    torch.backends.cudnn.is_available torch.backends.cudnn.version torch.cuda.is_bf16_supported
    torch.cuda.get_arch_list torch.xpu.is_available torch.mps.is_available torch.distributed.is_available
    torch.distributed.is_nccl_available torch.cuda.device_count torch.get_num_threads os.cpu_count
    platform.system platform.machine platform.python_version importlib.metadata.version importlib.util.find_spec
    transformers.utils.is_flash_attn_2_available torch.backends.mps.is_macos13_or_newer
    """.split()
)
"""What a process is told once and for all; no argument, or constant ones."""


class PlatformQuery(Rule):
    """What it does:
        Asks what the machine or the installation can do in a function of its own, which is marked as one whose result
        is constant: Dynamo then calls it while it traces.

    Why it breaks the graph:
        Dynamo does not trace these calls, which give no tensor (GB0208, GB0007).

    Example:
        if torch.backends.mps.is_available():

        @torch.compiler.assume_constant_result
        def _mps_is_available():
            return torch.backends.mps.is_available()

        if _mps_is_available():

    Safety:
        Proven. The call is the same, in eager as well; compiled code keeps its first answer, which does not change
        while a program runs.
    """

    code, name = "GF512", "platform-query"
    title = "ask about the machine in a function whose result is constant"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0208", "GB0007", "GB0156", "GB0059"})

    def rewrite(self, site: Site) -> Rewrite | None:
        module = site.module
        around = (one for one in module.parents(site.node) if isinstance(one, ast.expr))
        asked = next((one for one in (site.node, *around) if isinstance(one, ast.Call)), None)
        meaning = module.analysis.meaning(asked.func) if asked is not None else ""
        if asked is None or meaning not in _QUERIES or asked.keywords:
            return None
        if not all(isinstance(one, ast.Constant) for one in asked.args):
            return None
        name = _name(meaning, asked)
        if re.search(rf"\b{name}\b", module.text):
            return None
        text = f"@{{torch}}.compiler.assume_constant_result\ndef {name}():\n    return {{asked}}\n\n\n"
        shared = site.replace(asked, f"{name}()")
        return site.together(shared, defined_above(site, asked, f"def {name}", text, asked=asked))

    cases = (
        Rewrites(
            before="""
                import torch


                def f(x):
                    if torch.backends.mps.is_available():  # on a Mac
                        return x.float() * 2
                    return x.sin() + 1
            """,
            after="""
                import torch


                @torch.compiler.assume_constant_result
                def _mps_is_available():
                    return torch.backends.mps.is_available()


                def f(x):
                    if _mps_is_available():  # on a Mac
                        return x.float() * 2
                    return x.sin() + 1
            """,
            calls=("f(torch.ones(2))", "f(torch.ones(3))"),
        ),
        Rewrites(
            before="""
                import torch as t
                from torch import get_num_threads


                class Split(t.nn.Module):
                    def forward(self, x, *, parts: int | None = None):
                        # as many as there are threads
                        return t.stack([one * 2 for one in x.chunk(parts or min(get_num_threads(), 2))])


                f = Split()
            """,
            after="""
                import torch as t
                from torch import get_num_threads


                @t.compiler.assume_constant_result
                def _torch_get_num_threads():
                    return get_num_threads()


                class Split(t.nn.Module):
                    def forward(self, x, *, parts: int | None = None):
                        # as many as there are threads
                        return t.stack([one * 2 for one in x.chunk(parts or min(_torch_get_num_threads(), 2))])


                f = Split()
            """,
            calls=("f(torch.ones(2))", "f(torch.ones(4))"),
        ),
        Rewrites(
            before="""
                import torch


                @torch.no_grad()
                def f(x):
                    y = x.relu()
                    if torch.cuda.is_bf16_supported(False):
                        y = y.bfloat16()
                    return y * 2
            """,
            after="""
                import torch


                @torch.compiler.assume_constant_result
                def _cuda_is_bf16_supported_false():
                    return torch.cuda.is_bf16_supported(False)


                @torch.no_grad()
                def f(x):
                    y = x.relu()
                    if _cuda_is_bf16_supported_false():
                        y = y.bfloat16()
                    return y * 2
            """,
            calls=("f(torch.ones(2))", "f(torch.ones(3))"),
        ),
        Leaves(
            source="""
                import torch

                def f(x):
                    if torch.cuda.is_available() or torch.is_grad_enabled():
                        return x * 2
                    return x.sin()
            """,
            calls=("f(torch.ones(2))",),
        ),
        Leaves(
            source="""
                import torch

                def f(x, name):
                    y = x * 2
                    return y + y.storage_offset() + (torch.backends.mps.is_built() if name else 1)
            """,
            calls=("f(torch.ones(2), '')",),
        ),
    )


def _name(meaning: str, asked: ast.Call) -> str:
    """A name for the function, of the last words of what it asks and of the constants that it gives."""
    words = meaning.split(".")[-2:] + [str(one.value) for one in asked.args if isinstance(one, ast.Constant)]
    return "_" + re.sub(r"\W+", "_", "_".join(words)).lower()
