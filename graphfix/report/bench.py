"""A bench as text or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from graphfix.measured import ArmTiming, Bench, CallTiming, TargetTiming
from graphfix.report._paths import shorten

HEADS = ("arm", "graphs", "first", "warm", "median", "spread", "× eager", "launches", "replays", "syncs", "memory")


def text(bench: Bench) -> str:
    """A table for each target, and what its columns mean."""
    parts = ["\n".join(_target(target)) for target in bench.targets]
    versions = " · ".join(f"{name} {version}" for name, version in bench.versions.items())
    return "\n\n".join([*parts, f"{versions} · {bench.backend}"]) + "\n"


def document(bench: Bench) -> dict[str, Any]:
    """The bench as plain dicts and lists; seconds and bytes."""
    return {
        "schema": 1,
        "versions": dict(bench.versions),
        "backend": bench.backend,
        "targets": [_row(target) for target in bench.targets],
    }


def as_json(bench: Bench) -> str:
    return json.dumps(document(bench), indent=2, ensure_ascii=False) + "\n"


def ratio(target: TargetTiming, arm: ArmTiming, call: int) -> float | None:
    """How many times faster than eager; None where eager was not timed."""
    eager = target.eager
    return eager.calls[call].steady.median / arm.calls[call].steady.median if eager and arm.calls else None


def notes(target: TargetTiming) -> Iterator[str]:
    """What the figures do not say themselves."""
    if target.draws:
        yield "random numbers are drawn as eager draws them, so that results can be compared (fallback_random)"
    for arm in target.arms:
        if arm.error:
            yield f"{arm.name}: {arm.error}"
        if arm.difference:
            yield f"{arm.name}: results differ from eager's, {arm.difference}"
        if arm.inputs_copied:
            yield f"{arm.name}: a call swaps the tensors in its arguments, so every run gets copies at other addresses"
        if copied := sum(call.argument_bytes for call in arm.calls if call.launches.replays):
            yield f"{arm.name}: CUDA graphs may copy up to {size(copied)} of arguments into their own memory each run"
        yield from (f"{arm.name}: {c.launches.problem}" for c in arm.calls if c.launches.problem)


def size(count: int | None) -> str:
    return "–" if count is None else f"{count / 2**30:.2f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def seconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.1f} s" if value >= 1 else f"{value * 1e3:.2f} ms"


def rows(target: TargetTiming) -> list[tuple[str, ...]]:
    """The cells of a target's table, one row for each arm and call, as HEADS names them."""
    found = []
    for arm in target.arms:
        for number, call in enumerate(arm.calls):
            name = arm.name if len(arm.calls) == 1 else f"{arm.name}, call {number + 1}"
            found.append((name, *_cells(target, arm, call, number)))
        if not arm.calls:
            found.append((arm.name, "failed", *[""] * (len(HEADS) - 2)))
    return found


def _cells(target: TargetTiming, arm: ArmTiming, call: CallTiming, number: int) -> Iterator[str]:
    faster = ratio(target, arm, number)
    yield "–" if arm.graphs is None else str(arm.graphs)
    yield seconds(call.first)
    yield seconds(call.warm_first)
    yield seconds(call.steady.median)
    yield seconds(call.steady.spread)
    yield "–" if faster is None else f"{faster:.2f}×"
    for count in (call.launches.launches, call.launches.replays, call.launches.syncs):
        yield "–" if count is None else str(count)
    yield size(arm.peak_memory)


def _target(target: TargetTiming) -> Iterator[str]:
    table = [HEADS, *rows(target)]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEADS))]
    yield f"{target.name} ({shorten(target.spec)})"
    for row in table:
        cells = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        yield f"  {row[0]:{widths[0]}}  {'  '.join(cells)}".rstrip()
    runs = max((len(call.steady.runs) for arm in target.arms for call in arm.calls), default=0)
    yield f"  {target.rounds} rounds in turns, up to {runs} runs of each arm; all arms within one run of the command"
    yield from (f"  note: {note}" for note in notes(target))


def _row(target: TargetTiming) -> dict[str, Any]:
    return {
        "name": target.name,
        "spec": target.spec,
        "status": "ok" if all(arm.error is None for arm in target.arms) else "error",
        "rounds": target.rounds,
        "draws_random_numbers": target.draws,
        "plan": list(target.code),
        "arms": [_arm(target, arm) for arm in target.arms],
        "notes": list(notes(target)),
    }


def _arm(target: TargetTiming, arm: ArmTiming) -> dict[str, Any]:
    plain = asdict(arm)
    plain["calls"] = [
        {
            "first": call.first,
            "warm_first": call.warm_first,
            "median": call.steady.median,
            "spread": call.steady.spread,
            "runs": list(call.steady.runs),
            "times_eager": ratio(target, arm, number),
            "argument_bytes": call.argument_bytes,
            **{key: value for key, value in asdict(call.launches).items() if key != "problem"},
        }
        for number, call in enumerate(arm.calls)
    ]
    return plain


def as_html(bench: Bench) -> str:
    from graphfix.report import _bench_html  # it needs the rest of this module

    return _bench_html.render(bench)
