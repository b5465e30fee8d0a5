"""Writes patched files, all or nothing, and takes the last write back."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import partial
from pathlib import Path

from graphfix.apply.exchange import exchange, refuse_read_only
from graphfix.apply.journal import FOLDER, Change, Entry, Journal, opened
from graphfix.errors import SourceError, WriteError
from graphfix.source.text import decode


def write_files(
    journal: Journal, texts: Mapping[str, str], originals: Mapping[str, str], scope: Sequence[Path]
) -> list[str]:
    """Replace each file by its new text; returns the paths written.

    `originals` holds the texts that the new ones were made from. The owner, mode, encoding, BOM and line endings of a
    file stay; a link stays a link to the file it names. Raises WriteError (SourceError for a character that a file's
    encoding lacks), with every file as it was: where one is outside the scope, read-only or no longer the original,
    where an earlier write was cut short, or where the disk is full.
    """
    refuse_half_done(journal)
    try:
        changes = [_change(path, text, originals.get(path), scope) for path, text in texts.items()]
        changes = [change for change in changes if change.now != change.was]
        if not changes:
            return []
        for change in changes:
            refuse_read_only(change.path)
        record = journal.begin(changes)
    except OSError as error:
        journal.tidy()
        raise WriteError(f"{error.filename or journal.folder}: {error.strerror}; nothing was changed.") from None
    try:
        exchange(changes, record, journal.folder, partial(os.replace, journal.pending, journal.last))
    finally:
        settle(journal)
    return [str(change.path) for change in changes]


def _change(path: str, text: str, original: str | None, scope: Sequence[Path]) -> Change:
    real = Path(os.path.realpath(path))
    if not lies_in(real, scope):
        raise WriteError(f"{real} lies outside the scope; nothing was written, name it with --scope.")
    if any(folder.is_file() for folder in real.parents):
        raise WriteError(f"{real} lies in an archive; nothing was written, take its fixes with --overlay.")
    try:
        data = real.read_bytes()
        before = decode(data, str(real))
    except (FileNotFoundError, SourceError):
        before = None
    if before is None or before.text != (before.text if original is None else original):
        raise WriteError(f"{real} was changed while it was worked on; nothing was written, run graphfix apply again.")
    return Change(real, data, before.encode(text))


def lies_in(path: Path, scope: Sequence[Path]) -> bool:
    """Whether a file, links followed, is one of the files or in one of the folders that may be rewritten."""
    real, roots = path.resolve(), [root.resolve() for root in scope]
    return any(real == root or root in real.parents for root in roots)


class Rest(Enum):
    """What an earlier write that was cut short had done."""

    NONE = "there is no such write"
    NOTHING = "it had not replaced a file, and is forgotten"
    ALL = "it had replaced every file, and counts as done"
    SOME = "some files are new, some are old"


def settle(journal: Journal) -> Rest:
    """End a write that was cut short before its first file or after its last, and clean up after any."""
    rest = Rest.NONE
    if journal.pending.is_file():
        record = journal.read(journal.pending)
        new = [entry.found == entry.now for entry in record.entries]
        rest = Rest.ALL if all(new) else Rest.SOME if any(new) else Rest.NOTHING
        journal.sweep(record)
    if rest is Rest.ALL:
        os.replace(journal.pending, journal.last)
    elif rest is Rest.NOTHING:
        journal.pending.unlink()
    journal.tidy()
    return rest


def refuse_half_done(journal: Journal) -> None:
    """Raises WriteError where an earlier write left some files new and some old."""
    if settle(journal) is Rest.SOME:
        raise WriteError("an earlier apply was cut short between two files; run graphfix undo first.")


def undo(root: Path) -> list[str]:
    """Restore the files of the last write, also of one that was cut short; returns the paths of those it changed.

    Raises WriteError, with every file as it was, where there is nothing to take back, or a file was edited since.
    """
    if not (root / FOLDER).is_dir():
        raise _nothing_to_undo(root)
    with opened(root) as journal:
        rest = settle(journal)
        if rest is Rest.NOTHING:
            return []
        file = journal.pending if rest is Rest.SOME else journal.last
        if not file.is_file():
            raise _nothing_to_undo(root)
        return _take_back(journal, file)


def _take_back(journal: Journal, file: Path) -> list[str]:
    record = journal.read(file)
    changes = [change for entry in record.entries if (change := _reverse(journal, entry)) is not None]
    journal.sweep(record)
    try:
        for change in changes:
            refuse_read_only(change.path)
        exchange(changes, record, journal.folder, partial(os.replace, file, journal.undone))
    except OSError as error:
        raise WriteError(f"{error.filename or journal.folder}: {error.strerror}; nothing was changed.") from None
    journal.tidy()
    return [str(change.path) for change in changes]


def _reverse(journal: Journal, entry: Entry) -> Change | None:
    """The change that restores a file, None for one that is as it was. Raises WriteError."""
    original = journal.kept(entry)
    found = entry.found
    if found == entry.was:
        return None
    if found != entry.now:
        kept = journal.folder / entry.was
        raise WriteError(f"{entry.path} was changed after graphfix wrote it; restore it by hand from {kept}.")
    return Change(entry.path, entry.path.read_bytes(), original)


def _nothing_to_undo(root: Path) -> WriteError:
    return WriteError(f"there is nothing to undo under {root}; graphfix apply has written nothing here.")
