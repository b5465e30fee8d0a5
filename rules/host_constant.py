"""GF703: a tensor that a module keeps as a plain attribute, moved to the device in every call."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphfix.model import HOST_COPY
from graphfix.rule import Leaves, Rewrite, Rewrites, Rule, Safety, Site
from graphfix.source.module import FUNCTIONS, Module

from ._match import dotted


class HostConstant(Rule):
    """What it does:
        Registers a tensor that `__init__` keeps as a plain attribute as a buffer, which moves with the module.

    Why it breaks the graph:
        It does not, but a plain attribute stays on the host when the module is moved, so that compiled code copies it
        to the device in every call. The host waits for that, and no CUDA graph can hold it.

    Example:
        self.window = torch.hann_window(n_fft)
        ...
        torch.stft(x, n_fft, window=self.window.to(x.device))

        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    Safety:
        Proven. The buffer stands in no checkpoint, as the attribute did not. Unlike it, it follows the module to
        another dtype too (`module.half()`), not only to another device.
    """

    code, name = "GF703", "host-constant"
    title = "a buffer for a tensor that is copied to the device in every call"
    safety = Safety.PROVEN
    repairs = frozenset({HOST_COPY})

    def rewrites(self, site: Site) -> Iterator[Rewrite | None]:
        owner = next((one for one in site.module.parents(site.node) if isinstance(one, ast.ClassDef)), None)
        statement = site.enclosing(ast.stmt)
        if owner is None or statement is None:
            return
        for name in _moved(statement):
            kept = _kept_in(site.module, owner, name)
            if kept is not None:
                yield site.replace(
                    kept, f'self.register_buffer("{name}", {{value}}, persistent=False)', value=kept.value
                )

    cases = (
        Rewrites(
            before="""
                import torch

                class Spectrum(torch.nn.Module):
                    def __init__(self, size):
                        super().__init__()
                        self.size = size
                        self.window = torch.hann_window(size)  # periodic

                    def forward(self, x):
                        return torch.stft(
                            x, self.size, window=self.window.to(x.device), return_complex=True
                        ).abs()

                f = Spectrum(8)
            """,
            after="""
                import torch

                class Spectrum(torch.nn.Module):
                    def __init__(self, size):
                        super().__init__()
                        self.size = size
                        # periodic
                        self.register_buffer("window", torch.hann_window(size), persistent=False)

                    def forward(self, x):
                        return torch.stft(
                            x, self.size, window=self.window.to(x.device), return_complex=True
                        ).abs()

                f = Spectrum(8)
            """,
            calls=("f(torch.rand(32))", "f(torch.rand(2, 24))"),
        ),
        Leaves(
            source="""
                import torch

                class Late(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.table = None

                    def forward(self, x):
                        if self.table is None:
                            self.table = torch.arange(3.0)
                        return x * self.table.to(x.device)

                f = Late()
            """,
            calls=("f(torch.rand(3))",),
        ),
        Leaves(
            source="""
                import torch

                class Seen(torch.nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.register_buffer("table", torch.arange(3.0), persistent=False)

                    def forward(self, x):
                        return x * self.table.to(x.device)

                f = Seen()
            """,
            calls=("f(torch.rand(3))",),
        ),
    )


def _moved(statement: ast.stmt) -> Iterator[str]:
    """The attributes of `self` that a statement moves: `self.name.to(…)`, `self.name.cuda()`."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Attribute) and node.attr in ("to", "cuda", "type_as"):
            text = dotted(node.value) or ""
            if text.startswith("self.") and text.count(".") == 1:
                yield text.removeprefix("self.")


def _kept_in(module: Module, owner: ast.ClassDef, name: str) -> ast.Assign | None:
    """The one statement of the class that binds the attribute, if it stands in `__init__`, behind that of the base."""
    found = [
        node
        for node in ast.walk(owner)
        if isinstance(node, ast.Attribute) and node.attr == name and not isinstance(node.ctx, ast.Load)
    ]
    if len(found) != 1 or dotted(found[0].value) != "self":
        return None
    statement = next(module.parents(found[0]), None)
    init = module.function_of(found[0])
    if not isinstance(statement, ast.Assign) or statement.targets != found or not isinstance(init, FUNCTIONS):
        return None
    started = [node.lineno for node in ast.walk(init) if isinstance(node, ast.Attribute) and node.attr == "__init__"]
    return statement if init.name == "__init__" and started and min(started) < statement.lineno else None
