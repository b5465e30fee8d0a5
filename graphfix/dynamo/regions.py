"""Compiles parts of a target as its user would: by code that is pasted after the model is built."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from graphfix.dynamo.load import module_of
from graphfix.model import Call


def roots(call: Call) -> dict[str, Any]:
    """The modules that a call reaches, by the name that pasted code gives them.

    `model` is the module that the call's function is or is bound to; others keep the name that the function knows
    them by (a global, a free variable, an argument); a plain object that the function is bound to is `owner`.
    """
    found: dict[str, Any] = {}
    function = call.fn
    if (module := module_of(function)) is not None:
        found["model"] = module
    owner = getattr(function, "__self__", None)
    if owner is not None and module is None and not inspect.ismodule(owner):
        found |= {f"owner.{name}": one for name, one in getattr(owner, "__dict__", {}).items() if _is_module(one)}
    plain = inspect.unwrap(getattr(function, "__func__", function))
    if inspect.isfunction(plain):
        cells = zip(plain.__code__.co_freevars, plain.__closure__ or (), strict=False)
        values = {name: plain.__globals__.get(name) for name in plain.__code__.co_names}
        values |= {name: cell.cell_contents for name, cell in cells if _is_filled(cell)}
        found |= {name: one for name, one in values.items() if _is_module(one)}
    named = [*enumerate(call.args), *call.kwargs.items()]
    for key, value in named:
        for one in tree_leaves(value):
            if _is_module(one) and all(one is not other for other in found.values()):
                found[key if isinstance(key, str) else f"argument_{key}"] = one
    return found


def _is_module(value: Any) -> bool:
    return isinstance(value, torch.nn.Module)


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _names(call: Call) -> dict[str, Any]:
    """What pasted code finds by name: the roots, `owner` where there is one, and the function itself."""
    owner = getattr(call.fn, "__self__", None)
    simple = {name: one for name, one in roots(call).items() if "." not in name}
    if inspect.isfunction(call.fn):
        simple[call.fn.__name__] = call.fn
    return {**simple, **({"owner": owner} if owner is not None else {})}


def apply(code: Sequence[str], calls: Sequence[Call]) -> list[Any]:
    """Run the lines of code that compile regions of what the calls reach; returns what is to be called now for each.

    That is the call's own function, or what the code put in its place.
    """
    text = "\n".join(code)
    names = _names(calls[0]) | {"torch": torch, "inspect": inspect}
    exec(compile(text, "<regions>", "exec", dont_inherit=True), names)
    return [_function_now(call, names) for call in calls]


def _function_now(call: Call, names: dict[str, Any]) -> Any:
    owner, name = getattr(call.fn, "__self__", None), getattr(call.fn, "__name__", "")
    if owner is None and inspect.isfunction(call.fn):
        return names.get(name, call.fn)
    return getattr(owner, "__dict__", {}).get(name, call.fn)
