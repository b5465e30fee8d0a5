"""`graphfix scan`: report breaks of paths and targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from graphfix.commands.outcome import Outcome, exit_code
from graphfix.errors import UsageError
from graphfix.message import registry_ids
from graphfix.model import Report, Target
from graphfix.progress import Progress
from graphfix.scan import dynamic, static, targets, trace
from graphfix.settings import Settings
from graphfix.source.sources import Sources


def scan(where: Sequence[str], settings: Settings, log: Path | None = None) -> Outcome:
    """Compile the targets and read the paths that `where` names; or read the breaks that a log tells of."""
    if log is not None:
        return _scan_log(where, settings, log)
    chosen = targets.select(where, settings.config)
    findings, skipped = static.scan(chosen.paths, settings.rules, settings.config.exclude)
    with Progress() as progress:
        reports = dynamic.scan(chosen.targets, settings.options, progress)
    report = Report(settings.versions(reports), tuple(reports), tuple(findings), skipped=tuple(skipped))
    unread = any(Path(path) in chosen.paths for path, _ in skipped)
    return Outcome(report, 2 if unread else exit_code(report))


def _scan_log(where: Sequence[str], settings: Settings, log: Path) -> Outcome:
    if where:
        raise UsageError("--trace reads a log instead of paths and targets; leave one of the two out.")
    sources = Sources()
    reading = trace.read(log, registry_ids(), sources, settings.options.scope)
    several = f" ({reading.logs} logs)" if reading.logs > 1 else ""
    target = reading.seen.report(Target(str(log), f"{log.name or log}{several}"), sources, settings.rules)
    report = Report(settings.versions(), (replace(target, notes=(*target.notes, *reading.notes(target.sites))),))
    return Outcome(report, 1 if target.sites else 0)
