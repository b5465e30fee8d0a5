"""GF600: a setting that hides what the compiler says."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphfix.rule import Finds, Leaves, Rule, Safety, Site
from graphfix.source.module import Module

_SETTINGS = {
    "suppress_errors": "suppress_errors = True runs in eager what fails to compile, and says nothing",
    "disable": "disable = True turns torch.compile off for the whole process",
}
_VARIABLES = frozenset({"TORCHDYNAMO_SUPPRESS_ERRORS", "TORCHDYNAMO_DISABLE", "TORCH_COMPILE_DISABLE"})


class HiddenFailures(Rule):
    """What it does:
        Finds `torch._dynamo.config.suppress_errors = True` and `disable = True`, in assignments, `config.patch` and
        environment variables of Python code.

    Why it breaks the graph:
        It does not break it; it hides that something else did. Code that fails to compile runs in eager, as slow as
        before, and no log says so.

    Example:
        torch._dynamo.config.suppress_errors = True

    Safety:
        Nothing is changed. A person can remove the setting, and let `graphfix scan` show what it hid.
    """

    code, name = "GF600", "hidden-failures"
    title = "hides what fails to compile"
    safety = Safety.UNSAFE
    anywhere = True
    marks = ("suppress_errors", "SUPPRESS_ERRORS", "dynamo.config", "TORCHDYNAMO_DISABLE", "TORCH_COMPILE_DISABLE")

    def find(self, module: Module) -> Iterator[Site]:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Assign):
                yield from (site for target in node.targets for site in _assigned(module, node, target))
            elif isinstance(node, ast.Call):
                yield from _patched(module, node)

    cases = (
        Finds(
            source="""
                import os

                import torch
                import torch._dynamo
                from torch._dynamo import config

                torch._dynamo.config.suppress_errors = True
                os.environ["TORCHDYNAMO_SUPPRESS_ERRORS"] = "1"

                def start(model):
                    config.suppress_errors = True
                    with torch._dynamo.config.patch(suppress_errors=True):
                        return torch.compile(model)
            """,
            lines=(7, 8, 11, 12),
        ),
        Leaves(
            source="""
                import torch
                import torch._dynamo
                from types import SimpleNamespace

                config = SimpleNamespace()
                config.suppress_errors = True
                torch._dynamo.config.suppress_errors = False
                torch._dynamo.config.capture_scalar_outputs = True
                torch._dynamo.config.cache_size_limit = 64
            """,
        ),
    )


def _assigned(module: Module, node: ast.Assign, target: ast.expr) -> Iterator[Site]:
    if isinstance(target, ast.Attribute) and module.analysis.meaning(target.value) == "torch._dynamo.config":
        yield from _hiding(module, node, target.attr, node.value)
    elif isinstance(target, ast.Subscript) and module.analysis.meaning(target.value) == "os.environ":
        named = target.slice.value if isinstance(target.slice, ast.Constant) else None
        is_on = isinstance(node.value, ast.Constant) and node.value.value in ("1", "True", "true")
        if named in _VARIABLES and is_on:
            yield Site(module, node, message=f"{named} hides what fails to compile")


def _patched(module: Module, node: ast.Call) -> Iterator[Site]:
    if module.analysis.meaning(node.func) == "torch._dynamo.config.patch":
        for keyword in node.keywords:
            yield from _hiding(module, node, keyword.arg or "", keyword.value)


def _hiding(module: Module, node: ast.AST, name: str, value: ast.expr) -> Iterator[Site]:
    if name in _SETTINGS and isinstance(value, ast.Constant) and value.value is True:
        yield Site(module, node, message=_SETTINGS[name])
