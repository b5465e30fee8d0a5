"""GF515: a default device for a block of compiled code."""

from __future__ import annotations

import ast

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

_MAKERS = frozenset(
    """
    arange empty eye full hamming_window hann_window linspace logspace ones rand randint randn randperm scalar_tensor
    tensor zeros
    """.split()
)
_NEUTRAL = ("torch.", "math.")


class DeviceContext(Rule):
    """What it does:
        Names the device in each call that makes a tensor, while code is compiled, instead of the block's default.

    Why it breaks the graph:
        Dynamo does not trace `with torch.device(…):` (GB0142), and skips the whole function, since it cannot go on
        inside the block.

    Example:
        with torch.device(x.device):
            steps = torch.arange(n)

        with contextlib.nullcontext() if torch.compiler.is_compiling() else torch.device(x.device):
            steps = torch.arange(n, device=x.device)

    Safety:
        Proven. The device is the same one. Blocks that call other functions than torch's and methods of tensors are
        left alone: what is made in there cannot be seen.
    """

    code, name = "GF515", "device-context"
    title = "name the device where tensors are made"
    safety = Safety.PROVEN
    repairs = frozenset({"GB0142"})

    def rewrite(self, site: Site) -> Rewrite | None:
        block = site.enclosing(ast.With)
        item = block.items[0] if block is not None and len(block.items) == 1 else None
        if block is None or item is None or item.optional_vars is not None:
            return None
        manager = item.context_expr
        if not isinstance(manager, ast.Call) or site.module.analysis.meaning(manager.func) != "torch.device":
            return None
        if len(manager.args) != 1 or manager.keywords or not _is_steady(manager.args[0]):
            return None
        made = _made(site.module, block)
        if made is None:
            return None
        device = manager.args[0]
        template = "{contextlib}.nullcontext() if {torch}.compiler.is_compiling() else {manager}"
        changes: list[tuple[ast.expr, str, dict[str, ast.expr]]] = [(manager, template, {"manager": manager})]
        for call in made:
            parts = {f"a{number}": one for number, one in enumerate(call.args)}
            parts |= {f"k{number}": keyword.value for number, keyword in enumerate(call.keywords)}
            given = [f"{{a{number}}}" for number in range(len(call.args))]
            given += [f"{keyword.arg}={{k{number}}}" for number, keyword in enumerate(call.keywords)]
            text = f"{{function}}({', '.join([*given, 'device={device}'])})"
            changes.append((call, text, {**parts, "function": call.func, "device": device}))
        return site.replace_each(changes)

    cases = (
        Rewrites(
            before="""
                import torch

                def f(x):
                    with torch.device(x.device):
                        steps = torch.arange(4, dtype=torch.float32)
                        scale = torch.ones(4) * 2
                    return x + steps * scale.sqrt()
            """,
            after="""
                import contextlib

                import torch

                def f(x):
                    with contextlib.nullcontext() if torch.compiler.is_compiling() else torch.device(x.device):
                        steps = torch.arange(4, dtype=torch.float32, device=x.device)
                        scale = torch.ones(4, device=x.device) * 2
                    return x + steps * scale.sqrt()
            """,
            calls=("f(torch.ones(2, 4))", "f(torch.ones(3, 4))"),
        ),
        Rewrites(
            before="""
                import contextlib

                import torch as t

                class Mask(t.nn.Module):
                    def forward(self, x, *, where="cpu"):
                        with t.device(where):
                            if x.size(0) > 1:
                                mask = t.eye(x.shape[-1])
                            else:
                                mask = t.zeros(x.shape[-1], x.shape[-1], device="cpu")
                        return x @ mask

                f = Mask()
            """,
            after="""
                import contextlib

                import torch as t

                class Mask(t.nn.Module):
                    def forward(self, x, *, where="cpu"):
                        with contextlib.nullcontext() if t.compiler.is_compiling() else t.device(where):
                            if x.size(0) > 1:
                                mask = t.eye(x.shape[-1], device=where)
                            else:
                                mask = t.zeros(x.shape[-1], x.shape[-1], device="cpu")
                        return x @ mask

                f = Mask()
            """,
            calls=("f(torch.ones(2, 4))", "f(torch.ones(3, 4))"),
        ),
        Rewrites(
            before="""
                import contextlib
                from torch import compiler, device, full
                import torch

                def f(x, value: float = 0.5):
                    with device("cpu"):
                        y = x + full((4,), value)
                    return y.cos()
            """,
            after="""
                import contextlib
                from torch import compiler, device, full
                import torch

                def f(x, value: float = 0.5):
                    with contextlib.nullcontext() if torch.compiler.is_compiling() else device("cpu"):
                        y = x + full((4,), value, device="cpu")
                    return y.cos()
            """,
            calls=("f(torch.ones(2, 4))", "f(torch.ones(3, 4))"),
        ),
        Leaves(
            source="""
                import torch

                def positions(n):
                    return torch.arange(n)

                def f(x):
                    with torch.device("cpu"):
                        y = positions(4)
                    return x + y
            """,
            calls=("f(torch.ones(2, 4))",),
        ),
        Leaves(
            source="""
                import torch

                def f(x):
                    with torch.device("cpu"):
                        return x + torch.ones(*x.shape)
            """,
            calls=("f(torch.ones(2, 4))",),
        ),
    )


def _made(module: Module, block: ast.With) -> list[ast.Call] | None:
    """The calls that make tensors on the default device, None where the block calls what may make some unseen."""
    made = []
    for call in (node for part in block.body for node in ast.walk(part) if isinstance(node, ast.Call)):
        meaning = module.analysis.meaning(call.func)
        if meaning.startswith("torch.") and meaning.rpartition(".")[2] in _MAKERS:
            if any(isinstance(one, ast.Starred) for one in call.args) or not all(one.arg for one in call.keywords):
                return None
            if all(keyword.arg != "device" for keyword in call.keywords):
                made.append(call)
        elif not meaning.startswith(_NEUTRAL) and not _is_method(module, call.func):
            return None
    return made


def _is_method(module: Module, called: ast.expr) -> bool:
    """Whether a call is that of a method on a value, not on `self` or a module."""
    if isinstance(called, ast.Name):
        return called.id in ("len", "range", "int", "float", "max", "min", "enumerate", "zip")
    if not isinstance(called, ast.Attribute) or module.analysis.meaning(called):
        return False
    root: ast.AST = called
    while isinstance(root, ast.Attribute):
        root = root.value
    return not (isinstance(root, ast.Name) and root.id in ("self", "cls"))


def _is_steady(node: ast.expr) -> bool:
    """Whether an expression gives the same wherever it is read in the block: a constant, a name, an attribute."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name | ast.Constant)
