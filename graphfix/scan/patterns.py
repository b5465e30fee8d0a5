"""Patterns for paths, as `exclude` and `per-file-ignores` hold them."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable


def compiled(patterns: Iterable[str], root: str) -> re.Pattern[str]:
    """An expression that matches a path, relative to `root`, that is, or lies in, what a pattern stands for.

    A pattern is read as by `fnmatch` (`*` also matches slashes) and may begin at any folder: `tests`, `*_test.py`,
    `docs/conf.py`. No path is what no patterns match.
    """
    sources = []
    for pattern in patterns:
        pattern = os.path.relpath(pattern, root) if os.path.isabs(pattern) else pattern.removeprefix("./").rstrip("/")
        sources.append(fnmatch.translate(pattern)[:-2])  # without the mark of the end, \Z or \z
    return re.compile(rf"(?s:.*/)?(?:{'|'.join(sources)})(?s:/.*)?\Z" if sources else "(?!)")


def place_in(root: str, path: str) -> str:
    """A path, its own name unresolved, relative to the real folder `root`; outside of it the name alone."""
    folder, name = os.path.split(path)
    folder = os.path.realpath(folder)
    if folder == root:
        return name
    inside = root.rstrip("/") + "/"
    return f"{folder.removeprefix(inside)}/{name}" if folder.startswith(inside) else name
