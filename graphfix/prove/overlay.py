"""The overlay: patched sources as a folder, or as one patch file."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from types import ModuleType

from graphfix import hook
from graphfix.errors import WriteError
from graphfix.rule import diff
from graphfix.source.paths import short
from graphfix.source.sources import Sources
from graphfix.source.text import read

MANIFEST = "graphfix.json"


def patch(sources: Sources) -> str:
    """One unified diff of all patched files, for `git apply` or `patch -p1` in the folder their paths count from."""
    return "".join(_diff(path, text) for path, text in sorted(sources.patched.items()))


def _diff(path: str, text: str) -> str:
    before = read(path)
    bom = "\ufeff" if before.bom else ""
    return diff(short(path), bom + before.text, bom + text)


def save(sources: Sources, folder: Path) -> list[str]:
    """Write the patched files and a manifest with hashes of the originals; returns the paths written.

    Raises WriteError where the folder holds something that is no overlay, or cannot be written.
    """
    if folder.exists():
        check_folder(folder)
    files, written = [], []
    try:
        for path, text in sorted(sources.patched.items()):
            place = folder / short(path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(read(path).encode(text))
            files.append({"path": short(path), "sha256": _hash(Path(path).read_bytes())})
            written.append(str(place))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MANIFEST).write_text(json.dumps({"schema": 1, "files": files}, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise WriteError(f"{error.filename or folder}: {error.strerror}; the overlay is not complete.") from None
    return [*written, str(folder / MANIFEST)]


def check_folder(folder: Path) -> None:
    """Raises WriteError where the existing `folder` is neither empty nor an overlay."""
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / MANIFEST).is_file()):
        raise WriteError(f"{folder} exists and is no overlay; name an empty or a new folder.")


def load(folder: Path) -> dict[str, str]:
    """Patched texts by the path of the installed original.

    Raises WriteError where the folder is no overlay, or an original is missing or not the one that was patched.
    """
    try:
        files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        hashes = [(str(entry["path"]), str(entry["sha256"])) for entry in files]
    except (OSError, ValueError, KeyError, TypeError):
        raise WriteError(f"{folder} is no overlay; make one with graphfix apply --overlay.") from None
    return {_original(name, sha256): read(str(folder / name)).text for name, sha256 in hashes}


def _original(name: str, sha256: str) -> str:
    for home in ["", *sys.path]:
        path = os.path.realpath(os.path.join(home, name))
        if os.path.isfile(path):
            if _hash(Path(path).read_bytes()) == sha256:
                return path
            raise WriteError(f"{path} is not the file that was patched; run graphfix apply --overlay again.")
    raise WriteError(f"{name} is not installed here; install what the overlay was made for.")


def install_overlay(folder: str | os.PathLike[str]) -> None:
    """Load the patched modules of an overlay folder in place of the installed ones, from now on in this process.

    Call it before the patched packages are imported. Raises WriteError (a GraphfixError) where the folder is no
    overlay, an original is not the one that was patched, or a patched module was imported too early.
    """
    patched = load(Path(folder))
    for name, module in list(sys.modules.items()):
        place = vars(module).get("__file__") if isinstance(module, ModuleType) else None
        loader = getattr(vars(module).get("__spec__"), "loader", None) if place else None
        if place and os.path.realpath(place) in patched and not isinstance(loader, hook.PatchedLoader):
            raise WriteError(f"{name} is imported already; install the overlay before.")
    hook.install(patched)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
