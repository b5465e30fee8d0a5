"""`graphfix bench`: time targets eager, compiled as they are, compiled with fixes, compiled in planned regions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from graphfix.commands.modes import check_mode
from graphfix.errors import UsageError
from graphfix.measured import Bench, TargetTiming
from graphfix.model import Target
from graphfix.progress import Progress
from graphfix.prove import overlay, turns
from graphfix.prove.turns import Arm
from graphfix.prove.verify import default_backend
from graphfix.scan import targets
from graphfix.settings import Settings


@dataclass(frozen=True)
class Request:
    """What to time: `plan` is the JSON report of `graphfix plan`; see graphfix.prove.turns.Settings for the rest."""

    overlay: Path | None = None
    plan: Path | None = None
    modes: tuple[str, ...] = ("default",)
    rounds: int = 10
    calls: int = 1
    warm: bool = True
    as_is: bool = True


def bench(where: Sequence[str], settings: Settings, request: Request) -> Bench:
    """Time every arm of every target. Raises TargetError or UsageError where there is nothing to run."""
    for mode in request.modes:
        check_mode(mode)
    chosen = targets.only_targets(where, settings.config)
    backend = settings.backend or default_backend()
    fixed = overlay.load(request.overlay) if request.overlay else {}
    planned = _planned(request.plan) if request.plan else {}
    wanted = turns.Settings(backend, request.rounds, request.calls, request.warm)
    timings: list[TargetTiming] = []
    with Progress() as progress:
        for target in chosen:
            arms = _arms(target, request, fixed, planned)
            tell = partial(progress, target.name)
            timings.append(turns.time_target(target, arms, wanted, settings.options, tell))
    return Bench(settings.versions() | _device(timings), timings, backend)


def _device(timings: Sequence[TargetTiming]) -> dict[str, str]:
    gpu = next((timing.gpu for timing in timings if timing.gpu), None)
    device = next((timing.device for timing in timings if timing.device), "none")
    return {"device": device, **({"gpu": gpu} if gpu else {})}


def _arms(
    target: Target, request: Request, fixed: Mapping[str, str], planned: Mapping[str, tuple[str, ...]]
) -> list[Arm]:
    arms = [Arm("eager", "eager")]
    for mode in request.modes:
        if request.as_is:
            arms.append(Arm(_named("as is", mode), "as is", mode))
        if fixed:
            arms.append(Arm(_named("fixed", mode), "fixed", mode, fixed))
    if code := planned.get(target.name):
        arms.append(Arm("plan", "plan", None, fixed, code))
    return arms


def _named(kind: str, mode: str) -> str:
    return kind if mode == "default" else f"{kind}, {mode}"


def _planned(path: Path) -> dict[str, tuple[str, ...]]:
    """Each target's code in a report of `graphfix plan --format json`."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["targets"]
        return {row["name"]: tuple(row["plan"]["code"]) for row in rows if row["plan"]["code"]}
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"{path} is no plan; make one with graphfix plan --format json --output {path}.") from None
