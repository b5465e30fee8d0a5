"""One region to compile: the code that a user pastes for it, and what that code puts in a method's place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from graphfix.dynamo.calltree import FUNCTION, Node

WRAP = "inspect.unwrap(type({name}).{method}).__get__({name})"


class Region:
    """One or several nodes (of the same class: a repeated block) that are compiled each as a whole."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = list(nodes)

    @property
    def name(self) -> str:
        first = self.nodes[0]
        name, method = first.key
        shown = name if method in ("forward", "") else f"{name}.{method}"
        return shown if len(self.nodes) == 1 else f"{first.kind} ×{len(self.nodes)} in {self.home}"

    @property
    def home(self) -> str:
        """The name that all members' names begin with."""
        return common_home([node.key[0] for node in self.nodes])

    def code(self, arguments: str) -> list[str]:
        """The lines that compile the region; `arguments` are torch.compile's."""
        first = self.nodes[0]
        if len(self.nodes) == 1:
            return [_line(first, first.key[0], arguments)]
        return [
            f"for module in {self.home}.modules():",
            f'    if type(module).__name__ == "{first.kind}":',
            f"        {_line(first, 'module', arguments)}",
        ]

    def places(self) -> list[tuple[Any, str]]:
        """The modules, and the attribute of each in which the compiled function is after the code ran."""
        return [
            (node.module, "_compiled_call_impl" if node.plain_call and not is_inference(node) else node.key[1])
            for node in self.nodes
            if node.kind != FUNCTION
        ]

    def restore(self) -> None:
        """Take the compiled functions away again."""
        for module, name in self.places():
            if name == "_compiled_call_impl":
                module._compiled_call_impl = None
            else:
                vars(module).pop(name, None)

    def wrap(self, wrapper: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        """Put a wrapper around what is run in the region, compiled or not."""
        for module, name in self.places():
            now = vars(module).get(name)
            if name == "_compiled_call_impl":
                usual = now or torch.nn.Module._call_impl.__get__(module)
                module._compiled_call_impl = wrapper(usual)
            else:
                vars(module)[name] = wrapper(now or getattr(module, name))


def common_home(names: Sequence[str]) -> str:
    """The longest part that whole steps of all names share."""
    split = [name.replace("[", ".[").split(".") for name in names]
    shared = []
    for steps in zip(*split, strict=False):
        if len(set(steps)) > 1:
            break
        shared.append(steps[0])
    return ".".join(shared).replace(".[", "[")


def _line(node: Node, name: str, arguments: str) -> str:
    method = node.key[1]
    given = f", {arguments}" if arguments else ""
    if node.kind == FUNCTION:
        return f"{name} = torch.compile({name}{given})"
    if is_inference(node):
        plain = WRAP.format(name=name, method=method)
        return f"{name}.{method} = torch.inference_mode()(torch.compile({plain}{given}))"
    if node.plain_call:
        return f"{name}.compile({arguments})"
    return f"{name}.{method} = torch.compile({name}.{method}{given})"


def is_inference(node: Node) -> bool:
    """Whether the method is decorated with torch.inference_mode, which a compiled region must not hold.

    Inductor fails on such regions ("Cannot set version_counter for inference tensor", torch 2.11 and 2.13); outside of
    one the decorator does no harm. It keeps its context in a free variable of its wrapper (torch 2.6 to 2.13).
    """
    function: Any = getattr(type(node.module), node.key[1], None)
    while function is not None:
        cells = getattr(function, "__closure__", None) or ()
        names = getattr(getattr(function, "__code__", None), "co_freevars", ())
        for name, cell in zip(names, cells, strict=False):
            context = getattr(cell.cell_contents, "__self__", cell.cell_contents) if name == "ctx_factory" else None
            if isinstance(context, torch.inference_mode):
                return True
        function = getattr(function, "__wrapped__", None)
    return False


def needs(code: Sequence[str]) -> list[str]:
    """The imports that the code needs."""
    text = "\n".join(code)
    return [f"import {name}" for name in ("inspect", "torch") if f"{name}." in text]
