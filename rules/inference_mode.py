"""GF501: inference mode inside a compiled region."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

_MODES = frozenset({"torch.inference_mode", "torch.autograd.inference_mode", "torch.autograd.grad_mode.inference_mode"})


class InferenceMode(Rule):
    """What it does:
        Turns `torch.inference_mode()`, as a decorator or in a `with`, into `torch.no_grad()`: every one that is on
        around the operation which the compiler names.

    Why it breaks the graph:
        It does not break it: the compiler itself fails. Under inference mode a view of a parameter is an inference
        tensor, which AOTAutograd cannot trace ("Cannot set version_counter for inference tensor"), whatever backend is
        behind it, and the process is of no use afterwards (torch 2.11 and 2.13). Around the compiled region inference
        mode does no harm.

    Example:
        @torch.inference_mode()
        @torch.no_grad()

    Safety:
        Proven. The values are the same, bit for bit, and so is `requires_grad`. The results are no longer inference
        tensors: what inference mode forbids (to change them in place outside of it, to save them for backward) is
        allowed, and eager code counts versions again, which costs it a little.
    """

    code, name = "GF501", "inference-mode"
    title = "no_grad instead of inference mode in a compiled region"
    safety = Safety.PROVEN
    failures = ("inference tensor", "Inference tensor")

    def rewrite(self, site: Site) -> Rewrite | None:
        found: dict[ast.AST, Rewrite | None] = {}
        place: Site | None = site
        while place is not None:
            for mode in _modes_around(place.module, place.node):
                found.setdefault(mode, place.replace(mode, "{torch}.no_grad()"))
            place = place.around
        return site.together(*found.values()) if found else None

    cases = (
        Rewrites(
            before="""
                import torch
                from torch import nn

                class Voice(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.alpha = nn.Parameter(torch.ones(4))

                    @torch.inference_mode()
                    def inference(self, x):
                        return x.sin() * self.alpha.unsqueeze(0)

                class Model(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.voice = Voice()
                        self.proj = nn.Linear(4, 4)

                    def forward(self, x):
                        return self.voice.inference(self.proj(x)) + 1

                f = Model()
            """,
            after="""
                import torch
                from torch import nn

                class Voice(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.alpha = nn.Parameter(torch.ones(4))

                    @torch.no_grad()
                    def inference(self, x):
                        return x.sin() * self.alpha.unsqueeze(0)

                class Model(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.voice = Voice()
                        self.proj = nn.Linear(4, 4)

                    def forward(self, x):
                        return self.voice.inference(self.proj(x)) + 1

                f = Model()
            """,
            calls=("f(torch.ones(2, 4))", "f(torch.ones(3, 4))"),
        ),
        Rewrites(
            before="""
                import torch as t

                scale = t.nn.Parameter(t.ones(4))

                def f(x, *, gain: float = 2.0):
                    y = x * gain
                    with t.autocast("cpu", enabled=False), t.inference_mode(True):  # no gradients
                        z = y * scale[None]
                    return z.cos()
            """,
            after="""
                import torch as t

                scale = t.nn.Parameter(t.ones(4))

                def f(x, *, gain: float = 2.0):
                    y = x * gain
                    with t.autocast("cpu", enabled=False), t.no_grad():  # no gradients
                        z = y * scale[None]
                    return z.cos()
            """,
            calls=("f(torch.ones(2, 4))", "f(torch.ones(3, 4), gain=0.5)"),
        ),
        Rewrites(
            before="""
                from torch import inference_mode, nn, ones

                layer = nn.Linear(4, 4)

                @inference_mode
                def weigh(x):
                    return x @ layer.weight.t()

                @inference_mode()
                def f(x):
                    y = weigh(x.abs())
                    return y - y.mean()
            """,
            after="""
                import torch
                from torch import inference_mode, nn, ones

                layer = nn.Linear(4, 4)

                @torch.no_grad()
                def weigh(x):
                    return x @ layer.weight.t()

                @torch.no_grad()
                def f(x):
                    y = weigh(x.abs())
                    return y - y.mean()
            """,
            calls=("f(torch.ones(2, 4))", "f(torch.ones(3, 4))"),
        ),
        Leaves(
            source="""
                import torch

                bias = torch.nn.Parameter(torch.ones(4))

                @torch.inference_mode()
                def f(x):
                    return x.relu() + bias
            """,
            calls=("f(torch.ones(2, 4))", "f(torch.ones(3, 4))"),
        ),
        Leaves(
            source="""
                import torch

                bias = torch.nn.Parameter(torch.ones(4))

                @torch.no_grad()
                def f(x, still=False):
                    with torch.inference_mode(still):
                        return x.relu() + bias[None]
            """,
            calls=("f(torch.ones(2, 4))", "f(torch.ones(3, 4))"),
        ),
    )


def _modes_around(module: Module, node: ast.AST) -> Iterator[ast.expr]:
    """The expressions that turn inference mode on around a node of a function."""
    child = node
    for parent in module.parents(node):
        if isinstance(parent, ast.With | ast.AsyncWith) and any(child is one for one in parent.body):
            yield from (item.context_expr for item in parent.items if _is_on(module, item.context_expr))
        if isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            break
        child = parent
    function = module.function_of(node)
    yield from (one for one in (function.decorator_list if function else ()) if _is_on(module, one))


def _is_on(module: Module, mode: ast.expr) -> bool:
    """Whether an expression is inference mode, for certain switched on."""
    if not isinstance(mode, ast.Call):
        return module.analysis.meaning(mode) in _MODES
    given = [*mode.args, *(keyword.value for keyword in mode.keywords)]
    on = all(isinstance(one, ast.Constant) and one.value is True for one in given)
    return on and module.analysis.meaning(mode.func) in _MODES
