"""GF501: inference mode inside a compiled region."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import replace

from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import Module

_MODES = frozenset({"torch.inference_mode", "torch.autograd.inference_mode", "torch.autograd.grad_mode.inference_mode"})


class InferenceMode(Rule):
    """What it does:
        Turns `torch.inference_mode()`, as a decorator or in a `with`, into `torch.no_grad()`: every one that is on
        around the operation which the compiler names, or, where others make inference tensors that the code around
        changes in place, every one that the calls run.

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
    failures = ("inference tensor", "Inference tensor", "to 'torch.storage.UntypedStorage'")

    def rewrites(self, site: Site) -> Iterator[Rewrite | None]:
        around: dict[ast.AST, Module] = {}
        place: Site | None = site
        while place is not None:
            around |= dict.fromkeys(_modes_around(place.module, place.node), place.module)
            place = place.around
        if not around:
            return
        yield _without(site, around)
        others: dict[ast.AST, Module] = {
            mode: module for module, lines in site.ran() for mode in _modes_in(module, lines)
        }
        if not others.keys() <= around.keys():
            yield _without(site, {**around, **others})

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


def _without(site: Site, modes: Mapping[ast.AST, Module]) -> Rewrite | None:
    made = (
        replace(site, module=module, node=mode).replace(mode, "{torch}.no_grad()") for mode, module in modes.items()
    )
    return site.together(*made)


def _modes_in(module: Module, lines: frozenset[int]) -> Iterator[ast.expr]:
    """The expressions that turn inference mode on, of functions and blocks of which a line of the body ran."""
    if "inference_mode" not in module.text:
        return
    for node in ast.walk(module.tree):
        modes: list[ast.expr] = []
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            modes = node.decorator_list
        elif isinstance(node, ast.With | ast.AsyncWith):
            modes = [item.context_expr for item in node.items]
        if modes and any(line in lines for line in range(node.body[0].lineno, (node.end_lineno or 0) + 1)):  # type: ignore[attr-defined]
            yield from (mode for mode in modes if _is_on(module, mode))


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
