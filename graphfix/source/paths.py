"""Where a file belongs: its path as people read it, and the folder that path counts from."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

from graphfix.errors import UsageError

OVERLAY_MANIFEST = "graphfix.json"
"""The file that makes a folder an overlay."""

_PACKAGES = ("site-packages", "dist-packages")


def base_of(path: str) -> Path:
    """The folder from which patches and overlays count: the current one, else the one that holds the package."""
    real = Path(os.path.realpath(path))
    if (installed := _installed_in(real)) is not None:
        return installed
    if real.is_relative_to(Path.cwd().resolve()):
        return Path.cwd().resolve()
    folder = real.parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder


def package_of(path: str) -> str | None:
    """The folder of the top-level package that a file belongs to, None for a file outside of any."""
    real = Path(os.path.realpath(path))
    installed = _installed_in(real)
    if installed is not None:  # below it any folder may lack an __init__.py
        return str(installed / real.relative_to(installed).parts[0])
    folder = real.parent
    found = None
    while (folder / "__init__.py").is_file():
        found, folder = str(folder), folder.parent
    return found


def _installed_in(real: Path) -> Path | None:
    """The folder that a file is installed in: its site-packages, else the import path's entry outside the project."""
    here = Path.cwd().resolve()
    entries = {Path(entry).resolve() for entry in sys.path if entry}
    for folder in real.parents:
        outside = not folder.is_relative_to(here) and not here.is_relative_to(folder)
        if folder.name in _PACKAGES or (outside and folder in entries):
            return folder
    return None


def short(path: str) -> str:
    """The path relative to its base, with forward slashes."""
    return Path(os.path.realpath(path)).relative_to(base_of(path)).as_posix()


def scope_path(name: str) -> Path:
    """The folder or file that `--scope` names: a path, or a package that is found without being imported.

    Raises UsageError.
    """
    if Path(name).exists():
        return Path(name).resolve()
    top, *rest = name.split(".")
    try:
        spec = importlib.util.find_spec(top) if top.isidentifier() else None
    except (ImportError, ValueError):
        spec = None
    places = [*(spec.submodule_search_locations or ()), spec.origin] if spec else []
    for place in filter(None, places):
        found = Path(place).joinpath(*rest)
        for candidate in (found, found.with_suffix(".py")):
            if candidate.exists():
                return candidate.resolve()
    raise UsageError(f"scope {name!r} is neither a path nor an installed package; install it or correct the name.")
