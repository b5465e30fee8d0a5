"""`graphfix apply` and `graphfix undo`: prove fixes, write once, take back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from graphfix.apply.exact import apply_exact
from graphfix.apply.repair import Policy, Repair
from graphfix.apply.write import undo, write_files
from graphfix.commands.outcome import Outcome, exit_code, write_text
from graphfix.errors import UsageError
from graphfix.model import Report
from graphfix.progress import Progress
from graphfix.prove import overlay
from graphfix.prove.verify import default_backend
from graphfix.scan import static, targets
from graphfix.settings import Settings
from graphfix.source.sources import Sources

__all__ = ["Sink", "apply", "undo"]


@dataclass(frozen=True)
class Sink:
    """Where fixes go: into the files, or a patch on stdout, a patch file, an overlay, or nowhere (`check`)."""

    diff: bool = False
    check: bool = False
    patch: Path | None = None
    overlay: Path | None = None
    in_place: bool = False

    def validate(self, settings: Settings) -> None:
        """Raises UsageError, before any work, where the fixes could not be written in the end."""
        chosen = sum(map(bool, (self.diff, self.check, self.patch, self.overlay, self.in_place)))
        if chosen > 1:
            raise UsageError("--diff, --check, --patch, --overlay and --in-place exclude each other; choose one.")
        if self.overlay and self.overlay.exists():
            overlay.check_folder(self.overlay)
        if self.patch and not self.patch.absolute().parent.is_dir():
            raise UsageError(f"{self.patch.parent} is no folder; make it, or name another place for the patch.")
        outside = [path for path in settings.scope if not path.is_relative_to(settings.root)]
        if outside and not chosen:
            raise UsageError(
                f"{outside[0]} lies outside the project and is not edited in place; "
                "name --overlay DIR or --patch FILE, or say --in-place."
            )


def apply(where: Sequence[str], settings: Settings, sink: Sink) -> Outcome:
    """Prove fixes on the targets, make the exact ones in the paths, then write once."""
    chosen = targets.select(where, settings.config)
    sink.validate(settings)
    policy = Policy(settings.scope, settings.backend or default_backend(), settings.unsafe)
    with Progress() as progress:
        repair = Repair(settings.options, policy, progress)
        reports = repair.run(chosen.targets)
    files = static.python_files(chosen.paths, settings.config.exclude)
    exact = apply_exact(repair.sources, files, settings.rules)
    written, patch = _write(exact.sources, sink, settings)
    report = Report(
        settings.versions(reports),
        tuple(reports),
        exact.left,
        (*repair.records, *exact.records),
        tuple(written),
        exact.skipped,
    )
    would_change = bool(exact.sources.patched) and (sink.check or sink.diff)
    return Outcome(report, max(exit_code(report), int(would_change)), patch)


def _write(sources: Sources, sink: Sink, settings: Settings) -> tuple[list[str], str | None]:
    if sink.diff:
        return [], overlay.patch(sources)
    if sink.check or not sources.patched:
        return [], None
    if sink.overlay:
        return overlay.save(sources, sink.overlay), None
    if sink.patch:
        write_text(sink.patch, overlay.patch(sources))
        return [str(sink.patch)], None
    return write_files(sources.patched, settings.root), None
