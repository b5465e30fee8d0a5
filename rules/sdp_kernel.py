"""GF503: the deprecated way to choose the kernels of attention."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

_OLD = frozenset({"torch.backends.cuda.sdp_kernel"})
_NAME = "{torch}.nn.attention.SDPBackend"
_STEP = "    "
_KERNELS = {
    "enable_flash": "FLASH_ATTENTION",
    "enable_mem_efficient": "EFFICIENT_ATTENTION",
    "enable_math": "MATH",
    "enable_cudnn": "CUDNN_ATTENTION",
}
_PLACES = ("enable_flash", "enable_math", "enable_mem_efficient", "enable_cudnn")
"""The parameters in the order of the old function, each on by default."""


class SdpKernel(Rule):
    """What it does:
        Names the kernels that attention may use with `torch.nn.attention.sdpa_kernel` instead of the deprecated
        `torch.backends.cuda.sdp_kernel`. Options that only a run knows are asked there, one by one.

    Why it breaks the graph:
        Dynamo does not trace the old context manager (GB0208, GB0142), and knows the new one.

    Example:
        with torch.backends.cuda.sdp_kernel(enable_math=False):
        with torch.nn.attention.sdpa_kernel([
            torch.nn.attention.SDPBackend.FLASH_ATTENTION, …
        ]):

    Safety:
        Proven. The old function only hands its options on to the new one (torch 2.5 and later), so that the same
        kernels are chosen; the warning that it is deprecated is no longer given.
    """

    code, name = "GF503", "sdp-kernel"
    title = "choose attention kernels with sdpa_kernel"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0208", "GB0142"})

    def rewrite(self, site: Site) -> Rewrite | None:
        call = _call(site.module, site.node)
        if call is None or any(isinstance(one, ast.Starred) for one in call.args) or len(call.args) > len(_PLACES):
            return None
        options = dict(zip(_PLACES, call.args, strict=False))
        options |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
        open_ = [keyword.value for keyword in call.keywords if keyword.arg is None]
        if not options.keys() <= set(_PLACES) or len(open_) > 1:
            return None
        if open_:
            return _from_mapping(site, call, open_[0]) if not options else None
        return _from_options(site, call, options)

    cases = (
        Rewrites(
            before="""
                import torch
                import torch.nn.functional as F

                def f(q, k, v):
                    with torch.backends.cuda.sdp_kernel(enable_math=True, enable_flash=False):
                        out = F.scaled_dot_product_attention(q, k, v)
                    return out * 2
            """,
            after="""
                import torch
                import torch.nn.functional as F

                def f(q, k, v):
                    with torch.nn.attention.sdpa_kernel([
                        torch.nn.attention.SDPBackend.EFFICIENT_ATTENTION,
                        torch.nn.attention.SDPBackend.MATH,
                        torch.nn.attention.SDPBackend.CUDNN_ATTENTION,
                    ]):
                        out = F.scaled_dot_product_attention(q, k, v)
                    return out * 2
            """,
            calls=("f(torch.ones(1, 2, 4), torch.ones(1, 2, 4), torch.ones(1, 2, 4))",),
        ),
        Rewrites(
            before="""
                import torch
                from torch.backends.cuda import sdp_kernel
                from torch.nn.functional import scaled_dot_product_attention as attend

                class Attention(torch.nn.Module):
                    def __init__(self, options=None):
                        super().__init__()
                        self.options = options

                    def forward(self, q):
                        options = self.options if self.options else {}
                        with sdp_kernel(**options):  # deprecated
                            return attend(q, q, q)

                f = Attention()
            """,
            after="""
                import torch
                from torch.backends.cuda import sdp_kernel
                from torch.nn.functional import scaled_dot_product_attention as attend

                class Attention(torch.nn.Module):
                    def __init__(self, options=None):
                        super().__init__()
                        self.options = options

                    def forward(self, q):
                        options = self.options if self.options else {}
                        with torch.nn.attention.sdpa_kernel([
                            kernel
                            for option, kernel in (
                                ("enable_flash", torch.nn.attention.SDPBackend.FLASH_ATTENTION),
                                ("enable_mem_efficient", torch.nn.attention.SDPBackend.EFFICIENT_ATTENTION),
                                ("enable_math", torch.nn.attention.SDPBackend.MATH),
                                ("enable_cudnn", torch.nn.attention.SDPBackend.CUDNN_ATTENTION),
                            )
                            if options.get(option, True)
                        ]):  # deprecated
                            return attend(q, q, q)

                f = Attention()
            """,
            calls=("f(torch.ones(1, 2, 4))", "f(torch.ones(1, 3, 4))"),
        ),
        Rewrites(
            before="""
                from collections import namedtuple

                import torch

                Kernels = namedtuple("Kernels", "enable_flash enable_math enable_mem_efficient")
                on_cpu = Kernels(True, True, True)

                def f(q, flash: bool = False):
                    with torch.no_grad(), torch.backends.cuda.sdp_kernel(flash):
                        first = torch.nn.functional.scaled_dot_product_attention(q, q, q)
                    with torch.backends.cuda.sdp_kernel(**on_cpu._asdict()):
                        return first + torch.nn.functional.scaled_dot_product_attention(q, q, first)
            """,
            after="""
                from collections import namedtuple

                import torch

                Kernels = namedtuple("Kernels", "enable_flash enable_math enable_mem_efficient")
                on_cpu = Kernels(True, True, True)

                def f(q, flash: bool = False):
                    with torch.no_grad(), torch.nn.attention.sdpa_kernel([
                        *([torch.nn.attention.SDPBackend.FLASH_ATTENTION] if flash else []),
                        torch.nn.attention.SDPBackend.EFFICIENT_ATTENTION,
                        torch.nn.attention.SDPBackend.MATH,
                        torch.nn.attention.SDPBackend.CUDNN_ATTENTION,
                    ]):
                        first = torch.nn.functional.scaled_dot_product_attention(q, q, q)
                    with torch.nn.attention.sdpa_kernel([
                        kernel
                        for option, kernel in (
                            ("enable_flash", torch.nn.attention.SDPBackend.FLASH_ATTENTION),
                            ("enable_mem_efficient", torch.nn.attention.SDPBackend.EFFICIENT_ATTENTION),
                            ("enable_math", torch.nn.attention.SDPBackend.MATH),
                            ("enable_cudnn", torch.nn.attention.SDPBackend.CUDNN_ATTENTION),
                        )
                        if on_cpu._asdict().get(option, True)
                    ]):
                        return first + torch.nn.functional.scaled_dot_product_attention(q, q, first)
            """,
            calls=("f(torch.ones(1, 2, 4))", "f(torch.ones(1, 2, 4), True)"),
        ),
        Leaves(
            source="""
                import torch

                def f(q, options):
                    with torch.backends.cuda.sdp_kernel(*options):
                        return torch.nn.functional.scaled_dot_product_attention(q, q, q)
            """,
            calls=("f(torch.ones(1, 2, 4), (True, True))",),
        ),
        Leaves(
            source="""
                import torch
                import torch.nn.functional as F
                from torch.nn.attention import SDPBackend, sdpa_kernel

                def f(q):
                    with sdpa_kernel(SDPBackend.MATH):
                        return F.scaled_dot_product_attention(q, q, q)
            """,
            calls=("f(torch.ones(1, 2, 4))",),
        ),
    )


def _call(module: Module, node: ast.AST) -> ast.Call | None:
    """The call of the old function that a break at a node is about."""
    items = node.items if isinstance(node, ast.With | ast.AsyncWith) else []
    for one in (node, *(item.context_expr for item in items), *module.parents(node)):
        if isinstance(one, ast.Call) and module.analysis.meaning(one.func) in _OLD:
            return one
        if isinstance(one, ast.With) and one is not node:
            return _call(module, one) if any(node is item.context_expr for item in one.items) else None
    return None


def _from_options(site: Site, call: ast.Call, options: dict[str, ast.expr]) -> Rewrite | None:
    """The kernels that the call leaves on; an option that is no constant decides when it runs."""
    kernels, parts = [], dict[str, ast.expr]()
    for option, kernel in _KERNELS.items():
        value = options.get(option)
        if value is None or (isinstance(value, ast.Constant) and value.value):
            kernels.append(f"{_NAME}.{kernel}")
        elif not isinstance(value, ast.Constant):
            kernels.append(f"*([{_NAME}.{kernel}] if {{{option}}} else [])")
            parts[option] = value
    if not kernels:
        return None
    text = ",\n".join(f"{_STEP}{kernel}" for kernel in kernels)
    return site.replace(call, f"{{torch}}.nn.attention.sdpa_kernel([\n{text},\n])", **parts)


def _from_mapping(site: Site, call: ast.Call, mapping: ast.expr) -> Rewrite | None:
    """The kernels that a mapping leaves on, asked option by option."""
    asked = mapping
    if isinstance(asked, ast.Call) and not asked.args and not asked.keywords and isinstance(asked.func, ast.Attribute):
        asked = asked.func.value if asked.func.attr == "_asdict" else asked  # of a named tuple, which stays the same
    if not isinstance(asked, ast.Name | ast.Attribute | ast.Dict):
        return None
    pairs = "".join(f'{_STEP * 2}("{option}", {_NAME}.{kernel}),\n' for option, kernel in _KERNELS.items())
    text = (
        f"{{torch}}.nn.attention.sdpa_kernel([\n{_STEP}kernel\n{_STEP}for option, kernel in (\n{pairs}{_STEP})\n"
        f"{_STEP}if {{mapping}}.get(option, True)\n])"
    )
    return site.replace(call, text, mapping=mapping)
