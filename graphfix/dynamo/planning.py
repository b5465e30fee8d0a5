"""Finds what of a target to compile, and tries a choice of regions end to end (steps of a worker job).

`look` runs the first call in eager, measures its methods, and captures the promising ones from the top down: a method
that Dynamo captures whole becomes a region; where it breaks, or would unroll a loop, its parts are looked at.
`attempt` pastes the code for given regions, as a user would, and measures and compares what it gives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch._dynamo

from graphfix.dynamo import capture, load, regions
from graphfix.dynamo.calltree import Key, Node, call_tree
from graphfix.dynamo.collector import Collector
from graphfix.dynamo.failures import compiler_failure, short
from graphfix.dynamo.graphs import watch_graphs
from graphfix.dynamo.region import Region
from graphfix.model import Call

Emit = Callable[[dict[str, Any]], None]

LEAST_SHARE = 0.01
"""What takes less of the whole in eager is not worth a region of its own. Beside a region that became six times faster,
1 % is 6 % of what is left."""
UNROLLS = 4
"""A part that runs so often within one run of a method is in a loop, which Dynamo unrolls."""
LOOP_SHARE = 0.3
"""And if it takes so much of the method, its own compilation is what counts."""
MOST_OPS = 6000
"""Inductor takes minutes for larger graphs (10 solver steps of 2,300 ops each: over 4)."""


BLOCKS = 4
"""So many modules of one class in a region are a repeated block: compiled once with nested_compile_region."""


def look(
    calls: Sequence[Call],
    device: str,
    avoid: Iterable[str],
    known: Mapping[str, dict[str, Any]],
    modes: Sequence[str],
    emit: Emit,
) -> None:
    """Emit each `candidate` as it is judged, and in the end the `regions`, with their code for each mode.

    `known`: candidates of earlier looks by name, and what was `nested` in them; they are not captured again.
    """
    search = Look(calls, device, avoid, known, emit)
    found = [
        {
            "name": region.name,
            "keys": [node.key for node in region.nodes],
            "calls": sum(node.calls for node in region.nodes),
            "share": search.share(region.nodes),
            "code": {mode: region.code("" if mode == "default" else f'mode="{mode}"') for mode in modes},
            "nested": search.nested(region),
        }
        for region in search.regions()
    ]
    emit({"event": "regions", "seconds": search.total, "regions": found, "names": _explained(calls[0])})


def _explained(call: Call) -> dict[str, str]:
    """What the names in the code stand for."""
    name = getattr(call.fn, "__qualname__", type(call.fn).__name__)
    return {root: f"the {type(module).__name__} of {name}" for root, module in regions.roots(call).items()}


class Look:
    """One search for regions."""

    def __init__(
        self,
        calls: Sequence[Call],
        device: str,
        avoid: Iterable[str],
        known: Mapping[str, dict[str, Any]],
        emit: Emit,
    ) -> None:
        self._call, self._device, self._avoid, self._known, self._emit = calls[0], device, set(avoid), known, emit
        self.nodes, self.total = tree_of(self._call, device)

    def regions(self) -> list[Region]:
        tops = [node for node in self.nodes.values() if not node.most]
        return self._choose_among(tops)

    def nested(self, region: Region) -> list[str]:
        """The lines that have the repeated blocks of a region compiled once; none where that is not possible."""
        known: list[str] | None = self._known.get(region.name, {}).get("nested")
        if known is not None:
            return known
        lines = self._repeated(region)
        return lines if lines and self._nests(region, lines) else []

    def _repeated(self, region: Region) -> list[str]:
        keys, whole = {node.key for node in region.nodes}, sum(node.seconds for node in region.nodes)
        blocks: dict[str, list[Node]] = {}
        for node in self.nodes.values():
            if node.parents & keys and node.key not in keys and node.plain_call:
                blocks.setdefault(node.kind, []).append(node)
        repeated = [
            members
            for members in blocks.values()
            if len({id(node.module) for node in members}) >= BLOCKS
            and sum(node.seconds for node in members) >= LOOP_SHARE * whole
        ]
        if not repeated:
            return []
        name = max(repeated, key=lambda members: sum(node.seconds for node in members))[0].key[0]
        return [f"type({name}).forward = torch.compiler.nested_compile_region(type({name}).forward)"]

    def _nests(self, region: Region, lines: Sequence[str]) -> bool:
        """Whether the region is still captured whole with its blocks marked: they must not break."""
        if region.name in self._avoid:
            return False
        self._emit({"event": "stage", "text": f"capturing {region.name} with its block compiled once"})
        kinds = {type(node.module) for node in self.nodes.values() if node.module is not None}
        kept = {kind: kind.forward for kind in kinds}
        try:
            seen = captured(region, self._call, lines)
        finally:
            for kind, forward in kept.items():
                if kind.forward is not forward:
                    kind.forward = forward
        return seen["failure"] is None and not seen["breaks"]

    def share(self, nodes: Iterable[Node]) -> float:
        return sum(node.seconds for node in nodes) / self.total if self.total else 0.0

    def _choose(self, region: Region) -> list[Region]:
        reason, seen = self._why_not(region)
        event = {
            "event": "candidate",
            "name": region.name,
            "class": region.nodes[0].kind,
            "members": len(region.nodes),
            "calls": sum(node.calls for node in region.nodes),
            "share": self.share(region.nodes),
            "whole": reason is None,
            "reason": reason,
            **seen,
        }
        self._emit(event)
        return [region] if reason is None else self._choose_among(self._parts(region))

    def _why_not(self, region: Region) -> tuple[str | None, dict[str, Any]]:
        """Why a region is not compiled as a whole, and what capturing it showed."""
        nothing = {"graphs": None, "breaks": None, "ops": None, "capture_seconds": None}
        if region.name in self._avoid:
            return "it fails in the compiler, so it is cut around", nothing
        if (known := self._known.get(region.name)) is not None:
            return known["reason"], {name: known[name] for name in nothing}
        if (loop := self._loop_in(region)) is not None:
            return f"its loop over {loop.key[0]} ({loop.calls} runs) would be unrolled", nothing
        self._emit({"event": "stage", "text": f"capturing {region.name}"})
        seen = captured(region, self._call)
        reason = seen.pop("failure") or (f"{seen['breaks']} graph breaks" if seen["breaks"] else None)
        if reason is None and not seen["ops"]:
            reason = "nothing is captured"
        if reason is None and seen["ops"] > MOST_OPS and self._parts(region):
            reason = f"{seen['ops']} operations in one graph compile for minutes"
        return reason, seen

    def _loop_in(self, region: Region) -> Node | None:
        """The part that runs many times within one run of the region and takes a good deal of it."""
        keys = {node.key for node in region.nodes}
        whole = sum(node.seconds for node in region.nodes)
        found = [
            node
            for node in self.nodes.values()
            if any(node.most.get(key, 0) >= UNROLLS for key in keys) and node.seconds >= LOOP_SHARE * whole
        ]
        return max(found, key=lambda node: node.seconds, default=None)

    def _parts(self, region: Region) -> list[Node]:
        """The methods that run directly inside, the small ones too."""
        keys = {node.key for node in region.nodes}
        inside = [node for node in self.nodes.values() if node.parents & keys and node.key not in keys]
        between = {node.key for node in inside}
        return [node for node in inside if not node.parents & between - {node.key}]

    def _choose_among(self, parts: Sequence[Node]) -> list[Region]:
        """The regions among parts; those of the same class are taken together, as a repeated block."""
        together: dict[tuple[str, str, bool], list[Node]] = {}
        for node in parts:
            together.setdefault((node.kind, node.key[1], node.plain_call), []).append(node)
        chosen: list[Region] = []
        for members in together.values():
            if self.share(members) >= LEAST_SHARE:
                chosen += self._choose(Region(members))
        return chosen


def tree_of(call: Call, device: str) -> tuple[dict[Key, Node], float]:
    """The call tree of a target's call, run in eager."""
    args, kwargs = capture.copy_arguments(call)
    load.seed_everything(load.SEED)
    with load.without_compiling():
        return call_tree(call.fn, args, kwargs, regions.roots(call), device)


def captured(region: Region, call: Call, before: Sequence[str] = ()) -> dict[str, Any]:
    """Run the call with the region captured and not compiled: what Dynamo saw of it. `before`: lines to run first."""
    torch._dynamo.reset()
    breaks: list[dict[str, Any]] = []
    graphs: list[int] = []
    failure = None
    start = time.monotonic()
    with ExitStack() as stack:
        stack.callback(torch._dynamo.reset)
        stack.callback(region.restore)
        stack.enter_context(Collector(breaks.append))
        stack.enter_context(watch_graphs(graphs.append))
        function = regions.apply([*before, *region.code('backend="eager"')], [call])[0]
        args, kwargs = capture.copy_arguments(call)
        load.seed_everything(load.SEED)
        try:
            function(*args, **kwargs)
        except Exception as error:
            failure = failure_of(error)
    return {
        "graphs": sum(ops > 0 for ops in graphs),
        "breaks": len(breaks),
        "ops": sum(graphs),
        "capture_seconds": time.monotonic() - start,
        "failure": failure,
    }


def failure_of(error: BaseException) -> str:
    event = compiler_failure(error)
    text = str(event["explanation"]) if event else str(error)
    kind = event["type"] if event else type(error).__name__
    return short(f"{kind}: {text.splitlines()[0] if text else ''}", 200)
