"""Finds the Python files that paths stand for."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from graphfix.scan.gitignore import IgnoreFile, around, inside, is_ignored
from graphfix.scan.patterns import compiled, place_in
from graphfix.source.paths import OVERLAY_MANIFEST

_NEVER = frozenset({"__pycache__", "node_modules", "site-packages", "build", "dist"})
_MARKS = frozenset({"pyvenv.cfg", OVERLAY_MANIFEST})
"""Files that say of a folder that it holds an environment, or patched copies."""


def python_files(
    paths: Iterable[Path],
    exclude: Sequence[str] = (),
    *,
    root: Path | None = None,
    gitignore: bool = True,
    force_exclude: bool = False,
) -> Iterator[Path]:
    """The files named, and the `.py` files below the folders named, sorted, each once.

    Left out below a folder: hidden folders, overlays, what is installed, what git ignores (`gitignore`), and what
    `exclude` says: patterns (see `graphfix.scan.patterns`) for paths relative to `root`, by default the current
    folder. A file or folder that is named itself is taken all the same; with `force_exclude` only what git ignores is.
    """
    walk = _walk(root or Path(), exclude, gitignore)
    seen: set[str] = set()
    for path in paths:
        if force_exclude and walk.leaves_out(path):
            continue
        found = walk.below(str(path)) if path.is_dir() else iter([(str(path), os.path.realpath(path))])
        for file, real in found:
            if real not in seen:
                seen.add(real)
                yield Path(file)


def is_excluded(path: Path, exclude: Sequence[str], root: Path) -> bool:
    """Whether a file, which need not exist, is one that a scan of the project would leave out, git aside."""
    return _walk(root, exclude, False).leaves_out(path)


@dataclass(frozen=True, slots=True)
class _Walk:
    """What is left out: `excluded` matches paths relative to `root`, a real path."""

    root: str
    excluded: re.Pattern[str]
    gitignore: bool

    def leaves_out(self, path: Path) -> bool:
        """Whether the path, or a folder around it in the project, is left out."""
        if os.path.join(self.root, "").startswith(os.path.join(os.path.realpath(path), "")):
            return False  # the project itself, or a folder around it
        place = place_in(self.root, os.path.abspath(path))
        folders = place.split("/")[: None if path.is_dir() else -1]
        around = [os.path.join(self.root, *folders[: depth + 1]) for depth in range(len(folders))]
        marked = any(os.path.exists(os.path.join(folder, mark)) for folder in around for mark in _MARKS)
        return marked or any(map(_is_foreign, folders)) or self._is_excluded(place)

    def below(self, top: str) -> Iterator[tuple[str, str]]:
        """The files below a folder, as named and with links followed."""
        real = os.path.realpath(top)
        prefix = place_in(self.root, os.path.join(real, ""))  # empty for a folder outside the project
        return self._in_folder(top, real, prefix, around(real) if self.gitignore else (), is_top=True)

    def _in_folder(
        self, folder: str, real: str, prefix: str, ignoring: tuple[IgnoreFile, ...], is_top: bool = False
    ) -> Iterator[tuple[str, str]]:
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError:
            return
        names = {entry.name for entry in entries}
        if not is_top and not names.isdisjoint(_MARKS):
            return
        if self.gitignore:
            ignoring = inside(ignoring, real, names)
        within = os.path.join(real, "")
        folders = []
        for entry in entries:
            name = entry.name
            is_folder = entry.is_dir(follow_symlinks=False)
            if (
                (_is_foreign(name) if is_folder else not name.endswith(".py"))
                or self._is_excluded(prefix + name)
                or is_ignored(ignoring, within, f"{name}/" if is_folder else name)
            ):
                continue
            place = os.path.join(folder, name)
            if is_folder:
                folders.append(name)
            elif not entry.is_symlink():
                yield place, within + name
            elif not os.path.isdir(place):
                yield place, os.path.realpath(place)
        for name in folders:
            yield from self._in_folder(os.path.join(folder, name), within + name, f"{prefix}{name}/", ignoring)

    def _is_excluded(self, place: str) -> bool:
        return self.excluded.match(place) is not None


def _walk(root: Path, exclude: Sequence[str], gitignore: bool) -> _Walk:
    real = os.path.realpath(root)
    return _Walk(real, compiled(exclude, real), gitignore)


def _is_foreign(folder: str) -> bool:
    return folder.startswith(".") or folder in _NEVER
