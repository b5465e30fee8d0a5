"""`graphfix bench`: time targets eager, compiled as they are, compiled with fixes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from graphfix.errors import TargetError
from graphfix.model import Target
from graphfix.progress import Progress
from graphfix.prove import overlay
from graphfix.prove.verify import default_backend
from graphfix.scan import targets
from graphfix.scan.dynamic import make_job, observe
from graphfix.settings import Settings

ROUNDS = 20


def bench(where: Sequence[str], settings: Settings, overlay_folder: Path | None) -> str:
    """A table: first call and steady state of each arm, and the ratio to eager of the same process.

    Raises TargetError where a target cannot be run.
    """
    chosen = targets.only_targets(where, settings.config)
    backend = settings.backend or default_backend()
    arms: list[tuple[str, dict[str, str]]] = [("as is", {})]
    if overlay_folder:
        arms.append(("fixed", overlay.load(overlay_folder)))
    lines = [f"{'target':24} {'arm':16} {'graphs':>6} {'first':>10} {'median':>10} {'spread':>9} {'× eager':>8}"]
    with Progress() as progress:
        for target in chosen:
            for arm, sources in arms:
                lines += _rows(target, arm, _timing(target, sources, backend, settings, progress))
    lines.append(f"{backend}, {ROUNDS} rounds, first call of the target, eager and compiled interleaved")
    return "\n".join(lines) + "\n"


def _timing(
    target: Target, sources: dict[str, str], backend: str, settings: Settings, progress: Progress
) -> dict[str, Any]:
    job = make_job(target, settings.options, overlay=sources, time=backend, rounds=ROUNDS)
    seen = observe([job], settings.options, partial(progress, target.name))
    if seen.error is not None:
        raise TargetError(f"{target.spec} cannot be timed: {seen.error}")
    return dict(seen.facts["timing"])


def _rows(target: Target, arm: str, timing: dict[str, Any]) -> list[str]:
    rows = []
    for kind in ("eager", "compiled"):
        times = timing[kind]
        ratio = timing["eager"]["median"] / times["median"]
        graphs = timing["graphs"] if kind == "compiled" else "–"
        cells = f"{times['first']:8.3f} s {times['median'] * 1e3:7.2f} ms {times['spread'] * 1e3:6.2f} ms {ratio:7.2f}×"
        rows.append(f"{target.name:24} {kind + ', ' + arm:16} {graphs:>6} {cells}")
    return rows
