"""`graphfix scan`: report breaks of paths and targets."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from graphfix.commands.finish import finish
from graphfix.commands.outcome import Outcome, exit_code, with_fixes
from graphfix.errors import SourceError, UsageError
from graphfix.model import Report, Target, TargetReport
from graphfix.scan import static, targets
from graphfix.scan.files import is_excluded
from graphfix.scan.link import FileScan, linked
from graphfix.settings import Settings, load
from graphfix.source.sources import Sources
from graphfix.source.text import decode

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Request:
    """What besides paths and targets is asked for: a log to read, a name for stdin, a baseline to write."""

    log: Path | None = None
    stdin_filename: Path | None = None
    write_baseline: Path | None = None

    def validate(self, where: Sequence[str]) -> None:
        """Raises UsageError where the parts exclude each other."""
        if self.log is not None and where:
            raise UsageError("--trace reads a log instead of paths and targets; leave one of the two out.")
        if self.log is not None and self.write_baseline is not None:
            raise UsageError(
                "--write-baseline holds findings of paths, and --trace reads none; leave one of the two out."
            )
        if STDIN in where and len(where) > 1:
            raise UsageError("- reads one file from stdin; name it alone.")
        if self.stdin_filename is not None and STDIN not in where:
            raise UsageError("--stdin-filename names what stdin holds; read it with graphfix scan -.")


def command(
    where: Sequence[str],
    format: str = "text",
    output: Path | None = None,
    select: Sequence[str] | None = None,
    ignore: Sequence[str] | None = None,
    scope: Sequence[str] | None = None,
    jobs: int | None = None,
    timeout: float = 600.0,
    device: str | None = None,
    backend: str | None = None,
    quick: bool = False,
    trace: Path | None = None,
    all: bool = False,
    baseline: Path | None = None,
    write_baseline: Path | None = None,
    stdin_filename: Path | None = None,
    force_exclude: bool = False,
    no_cache: bool = False,
) -> int:
    """`graphfix scan` with these arguments and flags; its exit code. Raises GraphfixError."""
    if baseline and write_baseline:
        raise UsageError("--baseline and --write-baseline exclude each other; choose one.")
    settings = load(
        select,
        ignore,
        scope,
        device=device,
        timeout=timeout,
        jobs=jobs,
        backend=backend,
        quick=quick,
        likely=all,
        baseline=baseline,
        force_exclude=force_exclude,
        cache=not no_cache,
    )
    return finish(scan(where, settings, Request(trace, stdin_filename, write_baseline)), format, output)


def scan(where: Sequence[str], settings: Settings, request: Request | None = None) -> Outcome:
    """Compile the targets and read the paths that `where` names; or read stdin, or the breaks that a log tells of."""
    request = request or Request()
    request.validate(where)
    if request.log is not None:
        return _scan_log(settings, request.log)
    if STDIN in where:
        named = request.stdin_filename or Path("<stdin>")
        return _scan_stdin(named, settings, request)
    chosen = targets.select(where, settings.config)
    cache = settings.root if settings.cache else None
    certain = not settings.likely and settings.baseline is None  # a baseline may hold what is likely
    scans = static.scan(settings.files(chosen.paths), settings.all_rules, cache, settings.file_jobs, certain)
    return _reported(scans, Sources(), chosen, settings, request)


def _scan_stdin(path: Path, settings: Settings, request: Request) -> Outcome:
    data = sys.stdin.buffer.read()
    scans, sources = list[FileScan](), Sources()
    if not is_excluded(path, settings.config.exclude, settings.root):
        try:
            text = decode(data, str(path)).text
            scans = linked([static.scan_text(str(path), text, settings.all_rules)])
            sources = Sources({os.path.realpath(path): text})
        except SourceError as error:
            scans = [FileScan(str(path), error=str(error))]
    return _reported(scans, sources, targets.Selection(paths=[path]), settings, request)


def _reported(
    scans: Sequence[FileScan], sources: Sources, chosen: targets.Selection, settings: Settings, request: Request
) -> Outcome:
    """Run the targets, and report them with what is to be told of the files."""
    if request.write_baseline is not None:
        findings, notes = [], _write_baseline(request.write_baseline, scans, settings)
    else:
        findings, notes = [found for scan in scans for found in settings.filter.kept(scan)], _stale(scans, settings)
    skipped = tuple((scan.path, scan.error) for scan in scans if scan.error is not None)
    reports = _compiled(chosen.targets, settings) if chosen.targets else []
    report = Report({}, tuple(reports), tuple(findings), skipped=skipped)
    unread = any(Path(path) in chosen.paths for path, _ in skipped)

    def fill(report: Report) -> Report:
        fixed = with_fixes(report.findings, sources, settings.rules)
        return replace(report, versions=settings.versions(reports), findings=fixed)

    return Outcome(report, 2 if unread else exit_code(report), notes=notes, fill=fill)


def _compiled(chosen: Sequence[Target], settings: Settings) -> list[TargetReport]:
    from graphfix.progress import Progress
    from graphfix.scan import dynamic  # a scan of files starts sooner without

    with Progress() as progress:
        return dynamic.scan(chosen, settings.options, progress)


def _write_baseline(file: Path, scans: Sequence[FileScan], settings: Settings) -> tuple[str, ...]:
    """Write what would be reported if there were no baseline yet."""
    from graphfix.scan import baseline  # most scans have none

    shown = replace(settings, baseline=None).filter
    findings = [finding for scan in scans for finding in shown.kept(scan)]
    baseline.write(file, findings)
    return (f"{_counted(len(findings), 'finding', 'findings')} written to {file}.",)


def _stale(scans: Sequence[FileScan], settings: Settings) -> tuple[str, ...]:
    count = settings.filter.stale(scans)
    if not count or settings.baseline is None:
        return ()
    left = _counted(count, "entry", "entries")
    return (
        f"{left} of {settings.baseline.name} {'match' if count > 1 else 'matches'} nothing any more; write it anew.",
    )


def _counted(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"


def _scan_log(settings: Settings, log: Path) -> Outcome:
    from graphfix.message import registry_ids
    from graphfix.scan import trace  # most scans read none

    sources = Sources()
    reading = trace.read(log, registry_ids(), sources, settings.options.scope)
    several = f" ({reading.logs} logs)" if reading.logs > 1 else ""
    target = reading.seen.report(Target(str(log), f"{log.name or log}{several}"), sources, settings.rules)
    report = Report(settings.versions(), (replace(target, notes=(*target.notes, *reading.notes(target.sites))),))
    return Outcome(report, 1 if target.sites else 0)
