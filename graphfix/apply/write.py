"""Writes patched files, all or nothing, and takes the last write back."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from graphfix.errors import WriteError
from graphfix.source.text import read

FOLDER = ".graphfix"
_JOURNAL = "undo.json"


def write_files(texts: Mapping[str, str], root: Path) -> list[str]:
    """Replace each file by its new text; returns the paths written.

    The originals are first kept under `root/.graphfix`, so that `undo` can restore them whatever happens next. Each
    file is written beside its place, synced and renamed over it; mode, encoding, BOM and line endings stay.
    Raises WriteError, with every file as it was.
    """
    journal = root / FOLDER
    staged: list[tuple[Path, Path]] = []
    try:
        data = {Path(os.path.realpath(path)): read(path).encode(text) for path, text in texts.items()}
        for path, content in data.items():
            staged.append((_stage(path, content), path))
        _write_journal(journal, data)
        for temporary, path in staged:
            os.replace(temporary, path)
    except OSError as error:
        if (journal / _JOURNAL).exists() and any(not temporary.exists() for temporary, _ in staged):
            undo(root)
        raise WriteError(f"{error.filename}: {error.strerror}; nothing was changed.") from None
    finally:
        for temporary, _ in staged:
            temporary.unlink(missing_ok=True)
    return [str(path) for path in data]


def _stage(path: Path, content: bytes) -> Path:
    """A synced file beside `path` with its mode and the new content."""
    handle, name = tempfile.mkstemp(prefix=".graphfix-", dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    shutil.copymode(path, name)
    return Path(name)


def _write_journal(journal: Path, data: Mapping[Path, bytes]) -> None:
    """Keep the originals and say what is about to be written."""
    journal.mkdir(parents=True, exist_ok=True)
    (journal / ".gitignore").write_text("*\n")
    entries = []
    for number, (path, content) in enumerate(data.items()):
        original = path.read_bytes()
        (journal / f"original-{number}").write_bytes(original)
        entries.append({"path": str(path), "kept": f"original-{number}", "was": _hash(original), "is": _hash(content)})
    record = {"time": time.strftime("%Y-%m-%dT%H:%M:%S"), "files": entries}
    temporary = journal / f"{_JOURNAL}.new"
    temporary.write_text(json.dumps(record, indent=2), encoding="utf-8")
    os.replace(temporary, journal / _JOURNAL)


def undo(root: Path) -> list[str]:
    """Restore the files of the last write; returns their paths.

    Raises WriteError where there is nothing to take back, or a file was edited since.
    """
    journal = root / FOLDER
    if not (journal / _JOURNAL).is_file():
        raise WriteError(f"there is nothing to undo under {root}; graphfix apply has written nothing here.")
    files = json.loads((journal / _JOURNAL).read_text(encoding="utf-8"))["files"]
    for entry in files:
        path = Path(entry["path"])
        if not path.is_file() or _hash(path.read_bytes()) not in (entry["was"], entry["is"]):
            raise WriteError(f"{path} was changed after graphfix wrote it; restore it by hand from {journal}.")
    for entry in files:
        path = Path(entry["path"])
        if _hash(path.read_bytes()) != entry["was"]:
            os.replace(_stage(path, (journal / entry["kept"]).read_bytes()), path)
    (journal / _JOURNAL).unlink()
    return [entry["path"] for entry in files]


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
