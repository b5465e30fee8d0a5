"""Runs a target's calls and records all that each one did: output or exception, arguments, state, random numbers."""

from __future__ import annotations

import contextlib
import functools
import inspect
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from graphfix.dynamo.capture import copy_arguments
from graphfix.dynamo.compare import digest, snapshot
from graphfix.dynamo.effects import NOT_USERS, changed, is_plain, watch_effects, without_floats
from graphfix.dynamo.load import SEED, seed_everything
from graphfix.model import Call

_TORCH_OWN = frozenset({*vars(torch.nn.Module()), "_compiled_call_impl", "_is_torch_compile"})
"""What every module has (hooks, and the dictionaries of what is recorded by itself), and what compiling adds."""


def record_calls(
    calls: Sequence[Call],
    runner: Callable[[Call], Callable[..., Any]],
    on_error: Callable[[BaseException], object] = lambda error: None,
    effects: bool = False,
) -> list[dict[str, Any]]:
    """Run every call in order, through what `runner` makes of it, each with the same seed.

    Returns one dict a call: `result` (output or exception, arguments afterwards, gradients where the call asks for
    them; as snapshots), `state` and `parameters` (of all that the call reaches), `rng` (the random states), `modes`
    (of torch) and `aliases` (which outputs share memory with what), all after the call, and where asked
    for `effects` (see graphfix.dynamo.effects). An exception is a result; `on_error` sees it too.
    """
    return [_record(call, runner(call), SEED + index, on_error, effects) for index, call in enumerate(calls)]


def _record(
    call: Call, function: Callable[..., Any], seed: int, on_error: Callable[[BaseException], object], effects: bool
) -> dict[str, Any]:
    args, kwargs = copy_arguments(call)
    modules = list(_modules(call))
    seed_everything(seed)
    raised: dict[str, Any] = {}
    output: Any = None
    gradients: dict[str, Any] = {}
    before, around = (torch.is_grad_enabled(), torch.get_default_dtype()), snapshot(_around(call.fn))
    watched: contextlib.AbstractContextManager[dict[str, Any]] = contextlib.nullcontext({})
    if effects:
        watched = watch_effects([call.fn, *modules])
    with watched as seen:
        try:
            output = function(*args, **kwargs)
            aliases = _aliases(output, (args, kwargs))
            if call.grad:
                gradients = gradients_of(output, (args, kwargs), modules)
        except Exception as error:
            raised, aliases = {"exception": f"{type(error).__name__}: {error}"}, []
            on_error(error)
    recorded = {
        "result": {
            "output": snapshot(output),
            "exception": snapshot(raised),
            "arguments": snapshot([args, kwargs]),
            "gradients": snapshot(gradients),
        },
        "exception": raised.get("exception"),
        "state": state_of(modules) | {"changed": changed(around, snapshot(_around(call.fn)))},
        "parameters": digest({f"{n} {name}": p for n, m in enumerate(modules) for name, p in m.named_parameters()}),
        "rng": random_states(),
        "modes": repr((torch.is_grad_enabled(), torch.get_default_dtype())),
        "aliases": aliases,
        "effects": seen,
    }
    torch.set_grad_enabled(before[0])
    torch.set_default_dtype(before[1])
    return recorded


def _tensors(value: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]


def _aliases(output: Any, arguments: Any) -> list[tuple[int, int]]:
    """Pairs of an output and another output (before it) or an argument, each counted in that order, sharing memory."""
    made, given = ([_memory(tensor) for tensor in _tensors(value)] for value in (output, arguments))
    pairs = ((i, j) for i in range(len(made)) for j in (*range(i), *range(len(made), len(made) + len(given))))
    return [(i, j) for i, j in pairs if made[i] and made[i] == (made + given)[j]]


def _memory(tensor: torch.Tensor) -> int:
    try:
        return tensor.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError):  # sparse tensors have none
        return 0


def gradients_of(output: Any, arguments: Any, modules: Sequence[torch.nn.Module]) -> dict[str, Any]:
    """The gradients of arguments and parameters; every output element weighs differently, so that none stands in."""
    total: Any = None
    for tensor in _tensors(output):
        if tensor.requires_grad:
            weights = torch.linspace(0.5, 1.5, tensor.numel(), device=tensor.device).reshape(tensor.shape)
            part = (tensor * weights.to(tensor.dtype)).sum()
            total = part if total is None else total + part
    leaves = {f"argument {number}": tensor for number, tensor in enumerate(_tensors(arguments)) if tensor.is_leaf}
    for number, module in enumerate(modules):
        leaves |= {f"{number}.{name}": parameter for name, parameter in module.named_parameters()}
    for leaf in leaves.values():
        leaf.grad = None
    if total is not None:
        total.backward()
    return {name: leaf.grad for name, leaf in leaves.items()}


def _modules(call: Call) -> Iterator[torch.nn.Module]:
    """The modules a call reaches: its function, what that is bound to, closes over or names, and its arguments."""
    seen: set[int] = set()
    for value in _reached(call.fn, [*tree_leaves((call.args, call.kwargs))]):
        if isinstance(value, torch.nn.Module) and id(value) not in seen:
            seen.update(map(id, value.modules()))
            yield value


def _reached(function: Any, values: list[Any]) -> Iterable[Any]:
    while isinstance(function, functools.partial):
        values += [*function.args, *function.keywords.values()]
        function = function.func
    owner = getattr(function, "__self__", function)
    plain = inspect.unwrap(getattr(function, "__func__", function))
    if inspect.isfunction(plain):
        cells = plain.__closure__ or ()
        values += [cell.cell_contents for cell in cells if _filled(cell)]
        values += [plain.__globals__.get(name) for name in plain.__code__.co_names]
    if not isinstance(owner, torch.nn.Module) and not inspect.ismodule(owner):
        values += list(getattr(owner, "__dict__", {}).values())
    return [owner, *values]


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def state_of(modules: Sequence[torch.nn.Module]) -> dict[str, Any]:
    """The modules' buffers and plain attributes, and those of objects that they keep.

    Of the latter, floats count without their values, which may be times.
    """
    buffers: dict[str, torch.Tensor] = {}
    attributes: dict[str, Any] = {}
    kept: dict[str, Any] = {}
    for number, module in enumerate(modules):
        buffers |= {f"{number}.{name}": value for name, value in module.named_buffers()}
        for name, child in module.named_modules():
            values = {key: _as_python(value) for key, value in vars(child).items() if key not in _TORCH_OWN}
            own = {key: value for key, value in values.items() if is_plain(value)}
            at = f"{number}.{name}." if name else f"{number}."
            attributes |= {at + key: value for key, value in own.items()}
            for key, value in vars(child).items():
                kept |= {f"{at}{key}.{part}": one for part, one in kept_in(value).items()}
    return {
        "buffers": snapshot(buffers),
        "attributes": snapshot(attributes),
        "kept": {name: without_floats(snapshot(value)) for name, value in kept.items()},
    }


def kept_in(value: Any) -> dict[str, Any]:
    """The plain attributes of an object of the user's own, such as a meter or a scheduler; empty for others."""
    package = type(value).__module__.partition(".")[0]
    if isinstance(value, torch.nn.Module | torch.Tensor | type) or package in NOT_USERS:
        return {}
    return {name: one for name, one in getattr(value, "__dict__", {}).items() if is_plain(one)}


def _around(function: Any) -> dict[str, Any]:
    """The plain attributes of what the function is bound to, and the plain globals that it names."""
    owner, plain = getattr(function, "__self__", None), inspect.unwrap(getattr(function, "__func__", function))
    values: dict[str, Any] = {}
    if owner is not None and not isinstance(owner, torch.nn.Module) and not inspect.ismodule(owner):
        values |= {f"self.{name}": value for name, value in getattr(owner, "__dict__", {}).items()}
    if inspect.isfunction(plain):
        names = [name for name in plain.__code__.co_names if name in plain.__globals__]
        values |= {name: plain.__globals__[name] for name in names}
    return {name: value for name, value in values.items() if is_plain(value)}


def _as_python(value: Any, depth: int = 3) -> Any:
    """A NumPy scalar as the Python number that it equals: which of them a module keeps changes no result."""
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    if type(value) in (list, tuple) and depth:
        return type(value)(_as_python(one, depth - 1) for one in value)
    return value


def random_states() -> str:
    """A fingerprint of the random states of torch (each device), Python and NumPy."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        states |= {f"cuda{number}": state for number, state in enumerate(torch.cuda.get_rng_state_all())}
    numpy = sys.modules.get("numpy")
    others = repr((random.getstate(), numpy.random.get_state() if numpy else None))
    return digest(states) + others
