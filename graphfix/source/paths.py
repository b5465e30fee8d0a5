"""Where a file belongs: its path as people read it, and the folder that path counts from."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from graphfix.errors import UsageError

_PACKAGES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


def base_of(path: str) -> Path:
    """The folder from which patches and overlays count: the current one, else the one that holds the package."""
    real = Path(os.path.realpath(path))
    if not any(part in str(real) for part in _PACKAGES) and real.is_relative_to(Path.cwd().resolve()):
        return Path.cwd().resolve()
    folder = real.parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder


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
