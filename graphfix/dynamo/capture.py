"""Compiles a target's calls and counts what Dynamo captured."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
import torch._dynamo
from torch.utils._pytree import tree_map

from graphfix.dynamo.collector import place_of
from graphfix.dynamo.load import SEED, seed_everything
from graphfix.model import Call
from graphfix.printed import frames_in


def count_ops(module: torch.fx.GraphModule) -> int:
    """The operations of one captured graph."""
    return sum(node.op.startswith("call_") for node in module.graph.nodes)


def graph_event(module: torch.fx.GraphModule) -> dict[str, Any]:
    """One captured graph: its `ops`, and the place of the break that `ended_by` it, if one did."""
    reason: Any = getattr(module, "compile_subgraph_reason", None)
    stack = reason.user_stack if reason is not None and reason.graph_break else ()
    return {"event": "graph", "ops": count_ops(module), "ended_by": place_of(stack)}


def host_copies(module: torch.fx.GraphModule) -> Iterator[dict[str, Any]]:
    """Where a captured graph copies a tensor from the host to another device (`x.to(device)`, `x.cuda()`): in every
    call the host waits for that, and no CUDA graph can hold it."""
    for node in module.graph.find_nodes(op="call_method"):
        source = node.args[0].meta.get("example_value") if isinstance(node.args[0], torch.fx.Node) else None
        made = node.meta.get("example_value")
        if node.target in _COPYING and isinstance(source, torch.Tensor) and isinstance(made, torch.Tensor):
            stack = list(frames_in(node.meta.get("stack_trace") or ""))
            if stack and source.device.type == "cpu" and made.device.type != "cpu":
                yield {"event": "host_copy", "stack": stack}


_COPYING = frozenset({"to", "cuda", "type_as"})


class CountingBackend:
    """A Dynamo backend that tells `emit` of every graph (see `graph_event`) and of what it copies from the host
    (see `host_copies`) before the real backend compiles it.

    `fullgraph=True` would not prove that a graph exists: it passes where nothing was captured at all.
    """

    def __init__(self, name: str, emit: Callable[[dict[str, Any]], None]) -> None:
        self._name, self._emit = name, emit
        self._compile = torch._dynamo.lookup_backend(name)

    def __repr__(self) -> str:
        return self._name  # torch names the backend so in its errors

    def __call__(self, module: torch.fx.GraphModule, example_inputs: list[Any], **kwargs: Any) -> Callable[..., Any]:
        self._emit(graph_event(module))
        for copied in host_copies(module):
            self._emit(copied)
        compiled: Callable[..., Any] = self._compile(module, example_inputs, **kwargs)
        return compiled


def explain(call: Call) -> list[dict[str, Any]]:
    """`torch._dynamo.explain` of one call: its graphs (see `graph_event`). Breaks go to the collector."""
    args, kwargs = copy_arguments(call)
    seed_everything(SEED)
    return [graph_event(graph) for graph in torch._dynamo.explain(call.fn)(*args, **kwargs).graphs]


def compiled(call: Call, backend: CountingBackend) -> Callable[..., Any]:
    """The call's function compiled with the counting backend under the user's own settings."""
    compiled_function: Callable[..., Any] = torch.compile(call.fn, backend=backend)
    return compiled_function


@contextlib.contextmanager
def same_random_numbers() -> Iterator[None]:
    """Let Inductor draw the random numbers that eager draws, so that outputs can be compared.

    `randn_like` and its like draw other numbers for another layout of the tensor that they are like, and Inductor may
    lay that tensor out as it likes (seen on 2.11 and 2.13): here it must keep the strides that eager has.
    """
    import torch._inductor.config as inductor
    import torch.compiler.config
    from torch._inductor import lowering

    constraints: dict[Any, Any] = lowering._maybe_layout_constraints
    config: Any = torch.compiler.config
    tag = {"cache_key_tag": "strides of eager"} if hasattr(config, "cache_key_tag") else {}  # not in 2.6
    with (
        inductor.patch(fallback_random=True),
        config.patch(tag),  # the code in Inductor's caches was made without these strides
        _entries(constraints, _LIKE, lowering.constrain_to_fx_strides),
    ):
        yield


_LIKE = tuple(
    getattr(packet, overload)
    for packet in (torch.ops.aten.rand_like, torch.ops.aten.randn_like, torch.ops.aten.randint_like)
    for overload in packet.overloads()  # type: ignore[no-untyped-call]
)


@contextlib.contextmanager
def _entries(table: dict[Any, Any], keys: Iterable[Any], value: Any) -> Iterator[None]:
    """Give the keys a value for a while."""
    kept = {key: table[key] for key in keys if key in table}
    table.update(dict.fromkeys(keys, value))
    try:
        yield
    finally:
        for key in keys:
            table.pop(key, None)
        table.update(kept)


def copy_arguments(call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Fresh copies of the call's arguments: deep, and detached where a tensor is no leaf."""
    try:
        return copy.deepcopy((call.args, call.kwargs))
    except RuntimeError:  # deepcopy refuses tensors that have a gradient history
        return tree_map(_copy_leaf, (call.args, call.kwargs))  # type: ignore[no-any-return]


def _copy_leaf(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().clone().requires_grad_(value.requires_grad)
    return copy.deepcopy(value)
