"""GF704: `torch.zeros(n).to(x.device)`."""

from __future__ import annotations

import ast

from graphfix.model import HOST_COPY
from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

from ._calls import arguments
from ._match import dotted

_MAKERS = frozenset({f"torch.{name}" for name in ("zeros", "ones", "full", "arange", "eye")})


class MadeOnHost(Rule):
    """What it does:
        Makes zeros, ones, a range and the like on the device where they are moved at once.

    Why it breaks the graph:
        It does not, but compiled code makes the tensor on the host and copies it to the device in every call. The host
        waits for that, and no CUDA graph can hold it.

    Example:
        steps = torch.arange(length).to(x.device)

        steps = torch.arange(length, device=x.device)

    Safety:
        Proven. The values are the same; those of a range of floating point numbers may be rounded otherwise on another
        device, which a run must rule out. Random numbers are left alone: each device draws others.
    """

    code, name = "GF704", "made-on-host"
    title = "make the tensor on the device that it is moved to"
    safety = Safety.PROVEN
    repairs = frozenset({HOST_COPY})

    def rewrite(self, site: Site) -> Rewrite | None:
        statement = site.enclosing(ast.stmt)
        calls = (node for node in ast.walk(statement or site.node) if isinstance(node, ast.Call))
        changes = [(call, *found) for call in calls if (found := _on_device(site.module, call)) is not None]
        return site.replace_each(changes) if changes else None

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x: torch.Tensor, scale: float):
                    at = torch.arange(x.shape[-1]).to(x.device)  # one for each column
                    base = torch.full((x.shape[0], 1), scale).to(x)
                    mask = torch.ones(3).to(device=x.device, dtype=x.dtype)
                    return x * at + base + torch.zeros(1, dtype=x.dtype).to(x.device, torch.float64) + mask
            """,
            after="""
                import torch

                def f(x: torch.Tensor, scale: float):
                    at = torch.arange(x.shape[-1], device=x.device)  # one for each column
                    base = torch.full((x.shape[0], 1), scale, device=x.device).to(x)
                    mask = torch.ones(3, device=x.device).to(dtype=x.dtype)
                    return x * at + base + torch.zeros(1, dtype=x.dtype, device=x.device).to(torch.float64) + mask
            """,
            calls=("f(torch.rand(2, 3), 0.5)", "f(torch.rand(4, 3), 2.0)"),
        ),
        Leaves(
            source="""
                import torch

                def f(x):
                    return x + torch.tensor([0.5, 1.0]).to(x.device) + torch.zeros(2).to(x.device, non_blocking=True)
            """,
            calls=("f(torch.rand(3, 2))",),
        ),
    )


def _on_device(module: Module, call: ast.Call) -> tuple[str, dict[str, ast.AST]] | None:
    """Template and parts of `torch.zeros(…).to(device)` with the tensor made on the device; None for another call."""
    made = call.func.value if isinstance(call.func, ast.Attribute) else None
    if not isinstance(made, ast.Call) or module.analysis.meaning(made.func) not in _MAKERS:
        return None
    moved = _device(module, call)
    if moved is None or any(one.arg in ("device", "out") for one in made.keywords):
        return None
    device, still, more = moved
    texts, parts = arguments(made)
    return f"{{made}}({', '.join([*texts, f'device={device}'])}){still}", {**parts, **more, "made": made.func}


def _device(module: Module, call: ast.Call) -> tuple[str, str, dict[str, ast.AST]] | None:
    """The device that a call of `to` or `type_as` moves to, what is still to be done there, and the parts of both."""
    named = {one.arg: one.value for one in call.keywords}
    first = call.args[0] if call.args else named.pop("device", None)
    if first is None or not isinstance(call.func, ast.Attribute) or call.func.attr not in ("to", "type_as"):
        return None
    alone = isinstance(first, ast.Name | ast.Attribute) and len(call.args) == 1 and not named
    if alone and (call.func.attr == "type_as" or module.analysis.value(first).is_tensor):
        return "{like}.device", f".{call.func.attr}({{like}})", {"like": first}
    text = dotted(first) or str(getattr(first, "value", ""))
    if not text.endswith("device") and not text.startswith("cuda"):
        return None
    match call.args[1:], list(named):
        case [], []:
            return "{device}", "", {"device": first}
        case [dtype], []:
            return "{device}", ".to({dtype})", {"device": first, "dtype": dtype}
        case [], ["dtype"]:
            return "{device}", ".to(dtype={dtype})", {"device": first, "dtype": named["dtype"]}
    return None
