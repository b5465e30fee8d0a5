"""`graphfix apply` and `graphfix undo`: prove fixes, write once, take back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from graphfix.apply.exact import apply_exact
from graphfix.apply.git import refuse_uncommitted
from graphfix.apply.journal import Journal, opened
from graphfix.apply.repair import Policy, Repair
from graphfix.apply.write import lies_in, refuse_half_done, undo, write_files
from graphfix.commands.outcome import Outcome, exit_code, filling, write_bytes
from graphfix.errors import UsageError
from graphfix.model import Report
from graphfix.progress import Progress
from graphfix.prove import overlay
from graphfix.prove.patch import patch as patch_of
from graphfix.prove.verify import default_backend
from graphfix.scan import targets
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
    allow_dirty: bool = False

    @property
    def edits(self) -> bool:
        """Whether the files themselves are written."""
        return not (self.diff or self.check or self.patch or self.overlay)

    def validate(self, scope: Sequence[Path], root: Path) -> None:
        """Raises UsageError, before any work, where the fixes could not be written in the end."""
        if sum(map(bool, (self.diff, self.check, self.patch, self.overlay, self.in_place))) > 1:
            raise UsageError("--diff, --check, --patch, --overlay and --in-place exclude each other; choose one.")
        if self.overlay and self.overlay.exists():
            overlay.check_folder(self.overlay)
        if self.patch and not self.patch.absolute().parent.is_dir():
            raise UsageError(f"{self.patch.parent} is no folder; make it, or name another place for the patch.")
        outside = [path for path in scope if not path.is_relative_to(root)]
        if outside and self.edits and not self.in_place:
            raise UsageError(
                f"{outside[0]} lies outside the project and is not edited in place; "
                "name --overlay DIR or --patch FILE, or say --in-place."
            )

    @contextlib.contextmanager
    def prepared(self, scope: Sequence[Path], root: Path) -> Iterator[Journal | None]:
        """The journal, where the files themselves are to be written: theirs alone, and all in it committed.

        Raises UsageError or WriteError.
        """
        if not self.edits:
            yield None
            return
        with opened(root) as journal:
            refuse_half_done(journal)
            if not self.allow_dirty:
                refuse_uncommitted(scope)
            yield journal


def apply(
    where: Sequence[str], settings: Settings, sink: Sink, max_fixes: int | None = None, budget: float | None = None
) -> Outcome:
    """Prove fixes on the targets, make the exact ones in the paths, then write once."""
    chosen = targets.select(where, settings.config)
    scope = _scope(chosen.paths, settings)
    sink.validate(scope, settings.root)
    with sink.prepared(scope, settings.root) as journal:
        policy = Policy(scope, settings.backend or default_backend(), settings.unsafe, max_fixes, budget)
        with Progress() as progress:
            repair = Repair(settings.options, policy, progress)
            reports = repair.run(chosen.targets)
        files = settings.files(chosen.paths)
        inside = (file for file in files if lies_in(file, scope))
        exact = apply_exact(repair.sources, inside, settings.all_rules, settings.filter.kept)
        written, patch = _write(exact.sources, sink, journal, scope)
    report = Report(
        settings.versions(reports),
        tuple(reports),
        (*repair.findings, *exact.left),
        (*repair.records, *exact.records),
        tuple(written),
        exact.skipped,
    )
    would_change = bool(exact.sources.patched) and (sink.check or sink.diff)
    fill = filling(exact.sources, settings.rules)
    return Outcome(report, max(exit_code(report), int(would_change)), patch, fill=fill)


def _scope(paths: Sequence[Path], settings: Settings) -> tuple[Path, ...]:
    """What may be rewritten: the scope that was named, else the project and the paths that were.

    Raises UsageError for a path that a named scope leaves out.
    """
    named = tuple(path.resolve() for path in paths)
    if not settings.shown:
        return (*settings.scope, *(path for path in named if not lies_in(path, settings.scope)))
    for path in named:
        if not lies_in(path, settings.scope) and not any(lies_in(root, [path]) for root in settings.scope):
            raise UsageError(f"{path} lies outside the scope; name it with --scope, or leave it out.")
    return settings.scope


def _write(
    sources: Sources, sink: Sink, journal: Journal | None, scope: Sequence[Path]
) -> tuple[list[str], bytes | None]:
    if sink.diff:
        return [], patch_of(sources)
    if journal is not None:
        return write_files(journal, sources.patched, sources.originals, scope), None
    if sink.overlay:
        return overlay.save(sources, sink.overlay), None
    if sink.patch:
        write_bytes(sink.patch, patch_of(sources))
        return [str(sink.patch)], None
    return [], None
