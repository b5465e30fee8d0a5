"""Writes patched files, all or nothing, and takes the last write back."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from graphfix.errors import WriteError
from graphfix.source.text import read

FOLDER = ".graphfix"
_JOURNAL = "undo.json"
_KEPT = re.compile(r"[0-9a-f]{64}")


def write_files(texts: Mapping[str, str], root: Path) -> list[str]:
    """Replace each file by its new text; returns the paths written.

    The originals are first kept under `root/.graphfix`, so that `undo` can restore them whatever happens next. Each
    file is written beside its place, synced and renamed over it; owner, mode, encoding, BOM and line endings stay.
    Raises WriteError, with every file as it was.
    """
    data = {Path(os.path.realpath(path)): read(path).encode(text) for path, text in texts.items()}
    journal = root / FOLDER
    try:
        originals = {path: path.read_bytes() for path in data}
        before = (journal / _JOURNAL).read_bytes() if (journal / _JOURNAL).is_file() else None
        _write_journal(journal, originals, data)
    except OSError as error:
        raise WriteError(f"{error.filename}: {error.strerror}; nothing was changed.") from None
    try:
        _replace_all(data)
    except WriteError:
        _put_back(journal / _JOURNAL, before)
        raise
    _forget_all_but(journal, {_hash(original) for original in originals.values()})
    return [str(path) for path in data]


def _replace_all(data: Mapping[Path, bytes]) -> None:
    """Give every file its new content. Raises WriteError, with every file as it was."""
    originals: dict[Path, bytes] = {}
    staged: dict[Path, Path] = {}
    path = Path()
    try:
        for path, content in data.items():
            staged[path] = _stage(path, content)
        for path, temporary in staged.items():
            original = path.read_bytes()
            os.replace(temporary, path)
            originals[path] = original
    except OSError as error:
        for done, original in originals.items():
            os.replace(_stage(done, original), done)
        raise WriteError(f"{path}: {error.strerror}; nothing was changed.") from None
    finally:
        for temporary in staged.values():
            temporary.unlink(missing_ok=True)


def _stage(path: Path, content: bytes) -> Path:
    """A synced file beside `path` with its owner and mode and the new content."""
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, "it is read-only", str(path))
    handle, name = tempfile.mkstemp(prefix=".graphfix-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        owner = path.stat()
        if (owner.st_uid, owner.st_gid) != (os.geteuid(), os.getegid()):
            with contextlib.suppress(PermissionError):
                os.chown(name, owner.st_uid, owner.st_gid)
        shutil.copymode(path, name)
    except OSError:
        os.unlink(name)
        raise
    return Path(name)


def _write_journal(journal: Path, originals: Mapping[Path, bytes], data: Mapping[Path, bytes]) -> None:
    """Keep the originals, named by their hashes, and say what is about to be written."""
    journal.mkdir(parents=True, exist_ok=True)
    (journal / ".gitignore").write_text("*\n")
    entries = []
    for path, content in data.items():
        was = _hash(originals[path])
        (journal / was).write_bytes(originals[path])
        entries.append({"path": str(path), "was": was, "is": _hash(content)})
    record = {"time": time.strftime("%Y-%m-%dT%H:%M:%S"), "files": entries}
    _put_back(journal / _JOURNAL, json.dumps(record, indent=2).encode())


def _put_back(path: Path, content: bytes | None) -> None:
    """Give a journal its content in one step; None removes it."""
    if content is None:
        path.unlink(missing_ok=True)
        return
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_bytes(content)
    os.replace(temporary, path)


def _forget_all_but(journal: Path, needed: Collection[str]) -> None:
    """Remove the kept originals that nothing needs any more."""
    for kept in journal.iterdir():
        if _KEPT.fullmatch(kept.name) and kept.name not in needed:
            kept.unlink()


def _entries(journal: Path) -> list[dict[str, str]]:
    try:
        files: list[dict[str, str]] = json.loads((journal / _JOURNAL).read_text(encoding="utf-8"))["files"]
        return files
    except (OSError, ValueError, KeyError, TypeError):
        raise WriteError(f"{journal / _JOURNAL} cannot be read; restore the files by hand from {journal}.") from None


def undo(root: Path) -> list[str]:
    """Restore the files of the last write; returns their paths.

    Raises WriteError where there is nothing to take back, or a file was edited since.
    """
    journal = root / FOLDER
    if not (journal / _JOURNAL).is_file():
        raise WriteError(f"there is nothing to undo under {root}; graphfix apply has written nothing here.")
    entries = _entries(journal)
    restored = {}
    for entry in entries:
        path, kept = Path(entry["path"]), journal / entry["was"]
        if not path.is_file() or _hash(path.read_bytes()) not in (entry["was"], entry["is"]):
            raise WriteError(f"{path} was changed after graphfix wrote it; restore it by hand from {kept}.")
        if not kept.is_file() or _hash(kept.read_bytes()) != entry["was"]:
            raise WriteError(f"{kept} is missing or damaged; restore {path} by other means.")
        if _hash(path.read_bytes()) != entry["was"]:
            restored[path] = kept.read_bytes()
    _replace_all(restored)
    (journal / _JOURNAL).unlink()
    _forget_all_but(journal, ())
    return [entry["path"] for entry in entries]


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
