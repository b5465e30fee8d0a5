"""`graphfix verify`: judge targets by the four conditions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from graphfix.commands.modes import check_mode
from graphfix.commands.outcome import Outcome, exit_code
from graphfix.model import Report
from graphfix.progress import Progress
from graphfix.prove import overlay
from graphfix.prove.verify import default_backend, judge
from graphfix.scan import targets
from graphfix.settings import Settings
from graphfix.source.sources import Sources


def verify(where: Sequence[str], settings: Settings, overlay_folder: Path | None, mode: str | None = None) -> Outcome:
    """Judge the targets with the fixes of an overlay, or as they are; with a mode of torch.compile also over rounds.

    Raises UsageError for a mode that is none.
    """
    check_mode(mode)
    chosen = targets.only_targets(where, settings.config)
    sources = Sources(overlay.load(overlay_folder) if overlay_folder else {})
    backend = settings.backend or default_backend()
    reports = []
    with Progress() as progress:
        for target in chosen:
            seen, verdict = judge(target, sources, backend, settings.options, progress, mode)
            reports.append(replace(seen.report(target, sources, settings.rules), verdict=verdict))
    report = Report(settings.versions(reports), tuple(reports))
    return Outcome(report, exit_code(report))
