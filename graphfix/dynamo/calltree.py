"""Which modules and methods a target's call really runs: how often, how long, and in whose loop."""

from __future__ import annotations

import inspect
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any

import torch

_TORCH = f"{torch.__path__[0]}/"
_NO_REGION = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR

Key = tuple[str, str]
"""A module's name, as pasted code writes it, and one of its methods; or a function's name and nothing."""

FUNCTION = "function"
"""The kind of the node that is the target's own function, where that is no method of a module."""


@dataclass
class Node:
    """A method of a module, over all its runs within one call of the target.

    `most` counts how often it ran within one run of each of the methods around it: many times means a loop of
    theirs. `plain_call`: the module itself was called (`module(x)`), and not its method by name.
    """

    key: Key
    kind: str
    module: Any
    calls: int = 0
    seconds: float = 0.0
    most: dict[Key, int] = field(default_factory=dict)
    plain_call: bool = True

    @property
    def parents(self) -> set[Key]:
        return set(self.most)


def names_of(roots: Mapping[str, torch.nn.Module]) -> dict[int, tuple[str, torch.nn.Module]]:
    """Each module that the roots hold, by id: the name that leads to it and itself."""
    found: dict[int, tuple[str, torch.nn.Module]] = {}
    for root, module in roots.items():
        for name, child in module.named_modules():
            found.setdefault(id(child), (_written(root, name), child))
    return found


def _written(root: str, name: str) -> str:
    """`blocks.0.attention` as Python writes it: `root.blocks[0].attention`."""
    return root + "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in name.split(".") if part)


class _Run:
    """One run of a method that has not returned yet."""

    def __init__(self, key: Key, frame: FrameType, mark: Any) -> None:
        self.key, self.frame, self.mark, self.inner = key, frame, mark, Counter[Key]()


def call_tree(
    function: Callable[..., object],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    roots: Mapping[str, torch.nn.Module],
    device: str,
) -> tuple[dict[Key, Node], float]:
    """Run the function once and tell the methods that ran, itself among them, and the seconds that the whole took.

    Python's profiler calls us at every function, so the seconds are longer than without; shares of them are meant. On
    CUDA they are taken between events in the stream, which waits for nothing.
    """
    known, nodes, open_runs = names_of(roots), dict[Key, Node](), list[_Run]()
    entry = getattr(function, "__code__", None) if inspect.isfunction(function) else None
    intervals: list[tuple[Key, Any, Any]] = []
    mark = mark_of(device) if device == "cuda" else time.thread_time  # what other programs take is not counted

    def on_event(frame: FrameType, event: str, arg: Any) -> None:
        if event == "return" and open_runs and open_runs[-1].frame is frame:
            one = open_runs.pop()
            intervals.append((one.key, one.mark, mark()))
            for around in open_runs:
                _count_most(nodes[one.key], around)
        elif event == "call" and (found := _found(frame, known, entry)) is not None:
            key, module = found
            kind = FUNCTION if module is None else type(module).__name__
            node = nodes.setdefault(key, Node(key, kind, module))
            node.calls += 1
            node.plain_call &= _is_plain_call(frame)
            for around in open_runs:
                around.inner[key] += 1
            open_runs.append(_Run(key, frame, mark()))

    before = sys.getprofile()
    start = mark()
    sys.setprofile(on_event)
    try:
        function(*args, **kwargs)
    finally:
        sys.setprofile(before)
    end = mark()
    if device == "cuda":
        torch.cuda.synchronize()
    for key, first, last in intervals:
        nodes[key].seconds += between(first, last)
    return nodes, between(start, end)


def _count_most(node: Node, around: _Run) -> None:
    node.most[around.key] = max(node.most.get(around.key, 0), around.inner[node.key])


def mark_of(device: str) -> Callable[[], Any]:
    if device != "cuda":
        return time.perf_counter

    def mark() -> Any:
        event: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    return mark


def between(first: Any, last: Any) -> float:
    """Seconds."""
    return last - first if isinstance(first, float) else float(first.elapsed_time(last)) / 1e3


def _found(
    frame: FrameType, known: Mapping[int, tuple[str, torch.nn.Module]], entry: CodeType | None
) -> tuple[Key, torch.nn.Module | None] | None:
    if frame.f_code is entry:
        return (frame.f_code.co_name, ""), None
    return _method(frame.f_code, frame, known)


def _method(
    code: CodeType, frame: FrameType, known: Mapping[int, tuple[str, torch.nn.Module]]
) -> tuple[Key, torch.nn.Module] | None:
    """The module and the method that a frame runs, where it may become a region."""
    if not code.co_argcount or code.co_name.startswith("_") or code.co_flags & _NO_REGION:
        return None
    of_torch = code.co_filename.startswith(_TORCH)
    if of_torch and code.co_name != "forward":
        return None
    if (found := known.get(id(frame.f_locals.get(code.co_varnames[0])))) is None:
        return None
    name, module = found
    if of_torch and not any(module.children()):
        return None
    method = getattr(type(module), code.co_name, None)
    plain = inspect.unwrap(method) if callable(method) else None
    return ((name, code.co_name), module) if getattr(plain, "__code__", None) is code else None


def _is_plain_call(frame: FrameType) -> bool:
    """Whether the method is `forward` and was called by the module's own `__call__`."""
    caller = frame.f_back
    while caller is not None and caller.f_code.co_filename.endswith(("torch/utils/_contextlib.py", "_compile.py")):
        caller = caller.f_back
    return frame.f_code.co_name == "forward" and caller is not None and caller.f_code.co_name == "_call_impl"
