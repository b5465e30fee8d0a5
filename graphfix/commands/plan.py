"""`graphfix plan`: which parts of a target to compile."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from graphfix.commands.modes import check_mode
from graphfix.measured import Plans
from graphfix.progress import Progress
from graphfix.prove import overlay
from graphfix.prove.plan import LEAST_GAIN, Wanted, plan
from graphfix.scan import targets
from graphfix.settings import Settings


def make_plans(
    where: Sequence[str],
    settings: Settings,
    overlay_folder: Path | None,
    mode: str | None = None,
    rounds: int = 10,
    nested: bool = True,
    least_gain: float = LEAST_GAIN,
) -> Plans:
    """A plan for each target, on its files or on an overlay's. `mode` None: reduce-overhead, which is for CUDA.

    Raises TargetError or UsageError where there is nothing to run.
    """
    check_mode(mode)
    chosen = targets.only_targets(where, settings.config)
    sources = overlay.load(overlay_folder) if overlay_folder else {}
    wanted = Wanted(mode or "reduce-overhead", rounds, nested, least_gain)
    with Progress() as progress:
        found = [plan(target, sources, wanted, settings.options, partial(progress, target.name)) for target in chosen]
    device = next((one.device for one in found if one.device), "none")
    return Plans(settings.versions() | {"device": device}, found)
