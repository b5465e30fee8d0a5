"""The overlay: patched sources as a folder that is loaded in place of the files they were made from."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any

from graphfix import hook
from graphfix.errors import WriteError
from graphfix.source.paths import OVERLAY_MANIFEST, base_of, short
from graphfix.source.sources import Sources
from graphfix.source.text import decode, read_bytes

_AGAIN = "make it again with graphfix apply --overlay"


@dataclass(frozen=True, slots=True)
class _Entry:
    """A patched file: where it lies in the overlay, and the original that it stands for.

    `name` counts from the `home` of the original: the `project`, or a folder or archive that packages are `installed`
    in, one of the entries of `sys.path`.
    """

    path: str
    name: str
    home: str
    sha256: str
    patched_sha256: str


def save(sources: Sources, folder: Path) -> list[str]:
    """Write the patched files and a manifest, with hashes of these and of the originals; returns the paths written.

    What an earlier overlay left in the folder is removed. The manifest is written last, so that a save which is cut
    short leaves no overlay that loads. Raises WriteError where the folder holds something that is no overlay, or
    cannot be written.
    """
    if folder.exists():
        check_folder(folder)
    files: dict[str, bytes] = {}
    entries: list[_Entry] = []
    for path, text in sorted(sources.patched.items()):
        data = read_bytes(path)
        content = decode(data, path).encode(text)
        place, name = _free_place(short(path), files), short(path)
        home = "project" if base_of(path) == Path.cwd().resolve() else "installed"
        files[place] = content
        entries.append(_Entry(place, name, home, _hash(data), _hash(content)))
    try:
        stale = _listed(folder) - files.keys()
        folder.mkdir(parents=True, exist_ok=True)
        _write_manifest(folder, [{"path": path} for path in sorted(stale | files.keys())], complete=False)
        for place, content in files.items():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).write_bytes(content)
        _remove(folder, stale)
        _write_manifest(folder, [asdict(entry) for entry in entries], complete=True)
    except OSError as error:
        raise WriteError(f"{error.filename or folder}: {error.strerror}; the overlay is not complete.") from None
    return [*(str(folder / place) for place in files), str(folder / OVERLAY_MANIFEST)]


def _free_place(name: str, taken: Iterable[str]) -> str:
    """Where a file goes: its name, in a numbered folder where another one of that name has it."""
    number, place = 1, name
    while place in taken:
        number += 1
        place = f"{number}/{name}"
    return place


def _write_manifest(folder: Path, files: Sequence[dict[str, Any]], complete: bool) -> None:
    new = folder / f"{OVERLAY_MANIFEST}.new"
    text = json.dumps({"schema": 1, "complete": complete, "files": files}, indent=2)
    new.write_text(text + "\n", encoding="utf-8")
    os.replace(new, folder / OVERLAY_MANIFEST)


def _listed(folder: Path) -> set[str]:
    """The files that the manifest in a folder names, none where there is no manifest."""
    try:
        names = {
            PurePosixPath(entry["path"]) for entry in json.loads((folder / OVERLAY_MANIFEST).read_bytes())["files"]
        }
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return {str(name) for name in names if not name.is_absolute() and ".." not in name.parts}


def _remove(folder: Path, files: Iterable[str]) -> None:
    """Remove files from an overlay, and the folders that are empty then."""
    for name in files:
        (folder / name).unlink(missing_ok=True)
        for parent in list(PurePosixPath(name).parents)[:-1]:
            with contextlib.suppress(OSError):  # not empty
                (folder / parent).rmdir()


def check_folder(folder: Path) -> None:
    """Raises WriteError where the existing `folder` is neither empty nor an overlay."""
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / OVERLAY_MANIFEST).is_file()):
        raise WriteError(f"{folder} exists and is no overlay; name an empty or a new folder.")


def load(folder: Path) -> dict[str, str]:
    """Patched texts by the path of the original that is active here.

    Raises WriteError where the folder is no overlay or is damaged, or an original is missing or not the one that was
    patched.
    """
    entries = _entries(folder)
    texts: dict[str, str] = {}
    for entry in entries:
        place = folder / entry.path
        try:
            content = place.read_bytes()
        except OSError as error:
            raise WriteError(f"{place} cannot be read ({error.strerror}); {_AGAIN}.") from None
        if _hash(content) != entry.patched_sha256:
            raise WriteError(f"{place} is not what graphfix wrote; {_AGAIN}.")
        texts[_original(entry, entries, texts)] = decode(content, str(place)).text
    return texts


def _entries(folder: Path) -> list[_Entry]:
    try:
        manifest = json.loads((folder / OVERLAY_MANIFEST).read_bytes())
        complete, schema = manifest.get("complete", True), manifest["schema"]
        names = [field.name for field in fields(_Entry)] if complete and schema == 1 else []
        entries = [_Entry(*(str(entry[name]) for name in names)) for entry in manifest["files"] if names]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise WriteError(f"{folder} is no overlay; make one with graphfix apply --overlay.") from None
    if schema != 1:
        raise WriteError(f"{folder} was made by another version of graphfix; {_AGAIN}.")
    if not complete:
        raise WriteError(f"{folder} was not written to its end; {_AGAIN}.")
    return entries


def _original(entry: _Entry, entries: Sequence[_Entry], taken: Iterable[str]) -> str:
    """The path of the original: the first file of its name that an import would find and no other entry stands for."""
    others = {other.sha256 for other in entries if other.name == entry.name and other != entry}
    for home in ["", *sys.path] if entry.home == "project" else sys.path:
        path, found = _look(home, entry.name)
        if found == entry.sha256 and path not in taken:
            return path
        if found is not None and found not in others:
            raise WriteError(f"{path} is not the file that was patched; {_AGAIN}.")
    for start in range(1, entry.name.count("/") + 1):  # src/pack/mod.py, started where only src is on the path
        for home in sys.path:
            path, found = _look(home, entry.name.split("/", start)[start])
            if found == entry.sha256 and path not in taken:
                return path
    raise WriteError(f"{entry.name} is not installed here; install what the overlay was made for.")


def _look(home: str, name: str) -> tuple[str, str | None]:
    """The path of a file, and its hash if it is there."""
    path = os.path.realpath(os.path.join(home, name))
    try:
        return path, _hash(read_bytes(path))
    except OSError:
        return path, None


def install_overlay(folder: str | os.PathLike[str]) -> None:
    """Load the patched modules of an overlay folder in place of the installed ones, from now on in this process and
    in those that `multiprocessing` starts from it.

    Call it before the patched packages are imported. Raises WriteError (a GraphfixError) where the folder is no
    overlay, an original is not the one that was patched, or a patched module was imported too early.
    """
    patched = load(Path(folder))
    if (name := hook.imported_without(patched)) is not None:
        raise WriteError(f"{name} is imported already; install the overlay before.")
    hook.install(patched)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
