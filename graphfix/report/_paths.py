"""File paths as a reader wants them: short on a screen, a URI in a log that machines read."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from graphfix.model import Location

_INSTALLED = ("site-packages/", "dist-packages/")


def relative(path: str) -> str | None:
    """The path from the current folder, with forward slashes; None where it lies outside."""
    try:
        return Path(os.path.abspath(path)).relative_to(os.getcwd()).as_posix()
    except ValueError:
        return None


def shorten(path: str) -> str:
    """What stands after `site-packages/`, else relative to the current folder if inside it, else unchanged."""
    whole = Path(path).as_posix()
    for folder in _INSTALLED:
        if folder in whole:
            return whole.rpartition(folder)[2]
    return relative(path) or whole


def uri(path: str) -> str:
    """A relative URI reference inside the current folder, a `file:` URI outside it; percent-encoded."""
    inside = relative(path)
    return Path(os.path.abspath(path)).as_uri() if inside is None else quote(os.fsencode(inside))


def place(location: Location) -> str:
    """`path:line:column` as editors count: both from 1."""
    column = "" if location.column is None else f":{location.column + 1}"
    return f"{shorten(location.path)}:{location.line}{column}"
