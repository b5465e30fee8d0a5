"""GF514: a layer built anew in every call."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

_LAYERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "torch.nn.LayerNorm": ("layer_norm", ("normalized_shape", "eps")),
    "torch.nn.RMSNorm": ("rms_norm", ("normalized_shape", "eps")),
}
"""Layers whose first parameters change no bit: the function, and its names for the layer's arguments. (Those of
`GroupNorm` do: it multiplies in another order, seen on torch 2.13.)"""
_MOVES = frozenset({"to", "cuda", "cpu", "eval", "float"})


class LayerPerCall(Rule):
    """What it does:
        Calls `layer_norm` or `rms_norm` where a layer is built only to be called: its parameters are ones
        and zeros, which change nothing.

    Why it breaks the graph:
        Parameters are not made while Dynamo traces (GB0264, GB0119).

    Example:
        x = nn.LayerNorm(x.shape[-1])(x)
        x = torch.nn.functional.layer_norm(x, (x.shape[-1],))

    Safety:
        Proven. The values are the same. Outside of `no_grad` the layer's own parameters, which nobody can reach, made
        the result require a gradient; a run that shows this rejects the rewrite.
    """

    code, name = "GF514", "layer-per-call"
    title = "call the function, not a layer built for one call"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0264", "GB0119", "GB0007"})

    def rewrite(self, site: Site) -> Rewrite | None:
        around = [one for one in site.module.parents(site.node) if isinstance(one, ast.expr)]
        for node in (site.node, *around, *ast.walk(site.node)):
            if isinstance(node, ast.Call) and (options := _options(site.module, node)) is not None:
                return _rewritten(site, node, *options)
        return None

    cases = (
        Rewrites(
            before="""
                import torch
                from torch import nn

                class Block(nn.Module):
                    @torch.no_grad()
                    def forward(self, x):
                        x = nn.LayerNorm(x.shape[-1])(x)
                        return x * 2

                f = Block()
            """,
            after="""
                import torch
                from torch import nn

                class Block(nn.Module):
                    @torch.no_grad()
                    def forward(self, x):
                        x = torch.nn.functional.layer_norm(x, normalized_shape=(x.shape[-1],))
                        return x * 2

                f = Block()
            """,
            calls=("f(torch.randn(2, 4))", "f(torch.randn(3, 4))"),
        ),
        Rewrites(
            before="""
                import torch as t

                @t.no_grad()
                def f(x, *, small: float = 1e-3):
                    norm = t.nn.LayerNorm(x.size(1), small).to(x.device)
                    y = norm(x.sin())
                    return norm(y) + x
            """,
            after="""
                import functools

                import torch as t

                @t.no_grad()
                def f(x, *, small: float = 1e-3):
                    norm = functools.partial(t.nn.functional.layer_norm, normalized_shape=(x.size(1),), eps=small)
                    y = norm(x.sin())
                    return norm(y) + x
            """,
            calls=("f(torch.randn(2, 4))", "f(torch.randn(3, 4))"),
        ),
        Rewrites(
            before="""
                import torch
                from torch.nn import RMSNorm

                @torch.no_grad()
                def f(x):
                    return (
                        # over both
                        RMSNorm(normalized_shape=(2, 3))(x)
                        + 1
                    )
            """,
            after="""
                import torch
                from torch.nn import RMSNorm

                @torch.no_grad()
                def f(x):
                    return (
                        # over both
                        torch.nn.functional.rms_norm(x, normalized_shape=(2, 3))
                        + 1
                    )
            """,
            calls=("f(torch.randn(4, 2, 3))", "f(torch.randn(5, 2, 3))"),
        ),
        Leaves(
            source="""
                import torch

                @torch.no_grad()
                def f(x):
                    return torch.nn.Linear(3, 3)(x) * 0
            """,
            calls=("f(torch.ones(2, 3))",),
        ),
        Leaves(
            source="""
                import torch

                def f(x):
                    return torch.nn.LayerNorm(3, elementwise_affine=False)(x) + torch.nn.ReLU()(x)
            """,
            calls=("f(torch.randn(2, 3))",),
        ),
    )


def _options(module: Module, layer: ast.Call) -> tuple[str, dict[str, ast.expr]] | None:
    """The function that a layer stands for, and what it is told, None for another call."""
    known = _LAYERS.get(module.analysis.meaning(layer.func))
    if known is None or any(isinstance(one, ast.Starred) for one in layer.args) or len(layer.args) > len(known[1]):
        return None
    function, names = known
    given = dict(zip(names, layer.args, strict=False))
    for keyword in layer.keywords:
        if keyword.arg in names:
            given[str(keyword.arg)] = keyword.value
        elif keyword.arg not in ("device", "dtype"):
            return None
    return function, given


def _rewritten(site: Site, layer: ast.Call, function: str, options: dict[str, ast.expr]) -> Rewrite | None:
    """The call of the function; where the layer is kept in a name, a partial function of that name."""
    module, whole = site.module, layer
    parents = module.parents(layer)
    above = next(parents, None)
    while isinstance(above, ast.Attribute) and above.attr in _MOVES:
        moved = next(parents, None)
        if not isinstance(moved, ast.Call):
            return None
        whole, above = moved, next(parents, None)
    text = ", ".join(f"{name}={_shown(name, value)}" for name, value in options.items())
    named = f"{{torch}}.nn.functional.{function}"
    if isinstance(above, ast.Call) and above.func is whole and len(above.args) == 1 and not above.keywords:
        return site.replace(above, f"{named}({{x}}, {text})", x=above.args[0], **options)
    if isinstance(above, ast.Assign) and above.value is whole:
        return site.replace(whole, f"{{functools}}.partial({named}, {text})", **options)
    return None


def _shown(name: str, value: ast.expr) -> str:
    """The slot of an option; a shape that is one number becomes a tuple."""
    number = name == "normalized_shape" and not isinstance(value, ast.Tuple | ast.List)
    whole = isinstance(value, ast.Subscript) and isinstance(value.slice, ast.Slice)
    return f"({{{name}}},)" if number and not whole else f"{{{name}}}"
