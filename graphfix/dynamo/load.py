"""Finds a target's function and builds its calls, the same ones every time."""

from __future__ import annotations

import importlib
import inspect
import os
import random
import sys
import weakref
import zlib
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map

from graphfix.hook import load_file
from graphfix.model import Call

SEED = 0

_MOVED: weakref.WeakSet[torch.nn.Module] = weakref.WeakSet()
"""The modules that were moved here."""


class NotATarget(Exception):
    """The named thing is missing or yields something that is not a call; the text says what to do."""


def find_function(module: str | None, path: str | None, name: str) -> Callable[[], Any]:
    """The target function `name` of a file or an importable module. Raises NotATarget where it is missing."""
    if path is not None:
        sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
        loaded = load_file(f"graphfix_target_{zlib.crc32(path.encode())}", path)  # the same name in every process
    else:
        assert module is not None
        loaded = importlib.import_module(module)
    found = loaded
    for part in name.split("."):
        if not hasattr(found, part):
            raise NotATarget(f"{path or module} has no {name!r}; define it there or correct the name.")
        found = getattr(found, part)
    if not callable(found):
        raise NotATarget(f"{name!r} in {path or module} is not a function; a target is a function that yields calls.")
    return found


def build_calls(function: Callable[[], Any], device: str) -> list[Call]:
    """Run the target function with fixed seeds and collect its calls.

    A target that leaves all on the CPU is moved to `device` whole; one that places things itself is left alone. A
    module that outlives the calls was moved when they were first built, which does not count as placed.
    """
    seed_everything(SEED)
    calls = [_uncompiled(_as_call(item)) for item in _items(function())]
    if not calls:
        raise NotATarget(f"target {function.__name__!r} yields no call; yield at least one graphfix.Call.")
    if device != "cpu" and all(tensor.device.type == "cpu" for call in calls for tensor in _tensors(call)):
        calls = [_moved(call, device) for call in calls]
    return calls


def _uncompiled(call: Call) -> Call:
    """The call on the function itself, where the target handed in one that it compiled."""
    function: Any = call.fn
    if isinstance(function, torch.nn.Module):
        function = getattr(function, "_orig_mod", function)
        function._compiled_call_impl = None  # what Module.compile() sets
        if "forward" in vars(function):
            function.forward = _original(function.forward)
    elif inspect.ismethod(function):
        function = _original(function.__func__).__get__(function.__self__)
    return Call(_original(function), *call.args, grad=call.grad, **call.kwargs)


def _original(function: Any) -> Any:
    return getattr(function, "_torchdynamo_orig_callable", function)


def without_compiling() -> AbstractContextManager[object]:
    """A context in which every `torch.compile` in the user's code runs in eager."""
    stance: AbstractContextManager[object] = torch.compiler.set_stance("force_eager")
    return stance


def _tensors(call: Call) -> Iterable[torch.Tensor]:
    """The tensors a call is seen to work on: its arguments, its module's parameters and buffers."""
    leaves = tree_leaves((call.args, call.kwargs))
    yield from (leaf for leaf in leaves if isinstance(leaf, torch.Tensor))
    if (module := module_of(call.fn)) is not None and module not in _MOVED:
        yield from (*module.parameters(), *module.buffers())


def _moved(call: Call, device: str) -> Call:
    if (module := module_of(call.fn)) is not None:
        module.to(device)
        _MOVED.update(module.modules())

    def move(leaf: Any) -> Any:
        return leaf.to(device) if isinstance(leaf, torch.Tensor) else leaf

    args, kwargs = tree_map(move, (call.args, call.kwargs))
    return Call(call.fn, *args, grad=call.grad, **kwargs)


def module_of(function: Any) -> torch.nn.Module | None:
    """The module that a callable is, or is a method of."""
    owner = function if isinstance(function, torch.nn.Module) else getattr(function, "__self__", None)
    return owner if isinstance(owner, torch.nn.Module) else None


def seed_everything(seed: int) -> None:
    random.seed(seed)
    torch.manual_seed(seed)
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed(seed)


def file_of(call: Call) -> str | None:
    """The source file of what the call compiles; None for a built-in."""
    function = inspect.unwrap(call.fn)
    if isinstance(function, torch.nn.Module):
        function = inspect.unwrap(type(function).forward)
    try:
        return inspect.getsourcefile(function if inspect.isroutine(function) else type(function))
    except TypeError:
        return None


def _items(made: Any) -> Iterable[Any]:
    if isinstance(made, Call) or (isinstance(made, tuple) and made and callable(made[0])):
        return [made]
    if inspect.isgenerator(made) or isinstance(made, list | tuple):
        return made
    raise NotATarget(
        f"a target must yield graphfix.Call(...) or return (callable, args, kwargs), not {type(made).__name__}."
    )


def _as_call(item: Any) -> Call:
    if isinstance(item, Call):
        return item
    if isinstance(item, tuple) and 1 <= len(item) <= 3 and callable(item[0]):
        args = item[1] if len(item) > 1 else ()
        kwargs = item[2] if len(item) > 2 else {}
        if isinstance(args, tuple | list) and isinstance(kwargs, dict):
            return Call(item[0], *args, **kwargs)
    raise NotATarget(f"a target must yield graphfix.Call(...) or (callable, args, kwargs), not {type(item).__name__}.")
