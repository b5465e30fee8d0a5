"""What a write keeps under `.graphfix`: the originals, and the record of what is being written or was written last.

`pending.json` is there while files are being replaced; it becomes `undo.json` when all are. Either holds, for each
file, the hashes of the original and of the new content; the originals themselves are files named by their hashes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from graphfix.apply.lock import locked
from graphfix.errors import WriteError

FOLDER = ".graphfix"
_KEPT = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Change:
    """A file to be replaced: what it must hold now, and what it shall hold."""

    path: Path
    was: bytes
    now: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a record, with the hashes of its content before and after the write."""

    path: Path
    was: str
    now: str

    @property
    def found(self) -> str | None:
        """The hash of what the file holds at the moment, None where there is none."""
        try:
            return digest(self.path.read_bytes())
        except OSError:
            return None


@dataclass(frozen=True, slots=True)
class Record:
    """One write: `stamp` is in the names of its temporary files."""

    stamp: str
    entries: tuple[Entry, ...]

    def temporary(self, number: int, kind: str) -> str:
        """The name of the temporary file that holds the `new` or the `old` content of the entry `number`."""
        return f".graphfix-{self.stamp}-{number}.{kind}"


class Journal:
    """The folder of a project whose lock is held; `opened` makes one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pending, self.last, self.undone = (folder / f"{name}.json" for name in ("pending", "undo", "undone"))
        self._draft = folder / "pending.json.new"

    def begin(self, changes: Sequence[Change]) -> Record:
        """Keep the originals and say, durably, what is about to be written. Raises OSError."""
        for change in changes:
            place = self.folder / digest(change.was)
            if not place.is_file() or place.read_bytes() != change.was:
                _write(place, change.was)
        entries = tuple(Entry(change.path, digest(change.was), digest(change.now)) for change in changes)
        record = Record(secrets.token_hex(4), entries)
        files = [{"path": str(entry.path), "was": entry.was, "is": entry.now} for entry in entries]
        when = time.strftime("%Y-%m-%dT%H:%M:%S")
        text = json.dumps({"schema": 1, "time": when, "stamp": record.stamp, "files": files}, indent=2)
        _write(self._draft, text.encode())
        os.replace(self._draft, self.pending)
        sync(self.folder)
        return record

    def read(self, file: Path) -> Record:
        """The record in `pending` or `last`. Raises WriteError where it cannot be read."""
        try:
            found = json.loads(file.read_bytes())
            entries = tuple(Entry(Path(one["path"]), str(one["was"]), str(one["is"])) for one in found["files"])
            return Record(str(found["stamp"]), entries)
        except (OSError, ValueError, KeyError, TypeError):
            raise WriteError(f"{file} cannot be read; restore the files by hand from {self.folder}.") from None

    def kept(self, entry: Entry) -> bytes:
        """The original of a file. Raises WriteError where it is missing or damaged."""
        try:
            content = (self.folder / entry.was).read_bytes()
        except OSError:
            content = b""
        if digest(content) != entry.was:
            raise WriteError(f"{self.folder / entry.was} is missing or damaged; restore {entry.path} by other means.")
        return content

    def sweep(self, record: Record) -> None:
        """Remove the temporary files that a process left when it was killed over this record."""
        for number, entry in enumerate(record.entries):
            for folder in (self.folder, entry.path.parent):
                for kind in ("new", "old"):
                    with contextlib.suppress(OSError):
                        (folder / record.temporary(number, kind)).unlink()

    def tidy(self) -> None:
        """Remove what no record needs: temporary files of writes that are over, originals kept for them."""
        try:
            for file in (self.pending, self.last, self.undone):
                if file.is_file():
                    self.sweep(self.read(file))
            self._draft.unlink(missing_ok=True)
            self.undone.unlink(missing_ok=True)
            records = [self.read(file) for file in (self.pending, self.last) if file.is_file()]
        except WriteError:
            return
        needed = {entry.was for record in records for entry in record.entries}
        for path in self.folder.iterdir():
            if path.name.startswith(".graphfix-") or (_KEPT.fullmatch(path.name) and path.name not in needed):
                path.unlink(missing_ok=True)


@contextlib.contextmanager
def opened(root: Path) -> Iterator[Journal]:
    """The journal of the project at `root`, for the length of the block this process's alone.

    Raises WriteError where another process has it, or where it cannot be made.
    """
    folder = root / FOLDER
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(exist_ok=True)
            _hide(folder / ".gitignore")
            stack.enter_context(locked(folder / "lock"))
        except OSError as error:
            raise WriteError(f"{error.filename or folder}: {error.strerror}; nothing was changed.") from None
        yield Journal(folder)


def digest(content: bytes) -> str:
    """The hash by which a content is known."""
    return hashlib.sha256(content).hexdigest()


def sync(folder: Path) -> None:
    """Make renames in a folder last through a power cut, where the file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _hide(file: Path) -> None:
    """Keep the folder out of `git status`, from the first moment on that there is a file in it."""
    if file.is_file() and file.stat().st_size:
        return
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        os.write(descriptor, b"*\n")
    finally:
        os.close(descriptor)
