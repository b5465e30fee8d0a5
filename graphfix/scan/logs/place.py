"""Finds the frames of a log in the sources that are here: the log may come from another machine or an older version."""

from __future__ import annotations

import ast
import functools
import importlib.util
import os
import re
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from graphfix.errors import SourceError
from graphfix.printed import PrintedFrame
from graphfix.scan.logs.guilty import About, calling, guilty
from graphfix.source.module import FUNCTIONS, Module
from graphfix.source.sources import Sources

NOT_HERE = "is not here: its places are the log's, and have no fix"
DIFFERS = "is not the same here: its places are the log's, and have no fix"

_SEPARATOR = re.compile(r"[\\/]+")
_INSTALLED = re.compile(r"^.*[\\/](?:site|dist)-packages[\\/]")
_STANDARD = re.compile(r"^(?:.*/lib/python3\.\d+/|[A-Za-z]:\\.*\\Lib\\)(?!(?:site|dist)-packages)")
_RESUMED = re.compile(r"^torch_dynamo_resume_in_(.*)_at_\d+$")

_NOWHERE = {"column": -1, "end_line": -1, "end_column": -1}
"""Columns where no expression stands, so that no rule takes what happens to be on a line here for the log's."""


class Here:
    """Places frames among `sources`, each distinct one once."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._placed: dict[tuple[PrintedFrame, About], dict[str, Any]] = {}

    def stack(self, frames: Sequence[PrintedFrame], last: About) -> list[dict[str, Any]]:
        """The frames as `Observation` takes them, columns in UTF-8 bytes; `last` is known of the innermost one.

        Where the source is not the log's, a frame keeps the log's place and `code`, and says so as its `note`.
        """
        known = [*(calling(_function(frame)) for frame in frames[1:]), last][: len(frames)]
        return [dict(self._frame(frame, about)) for frame, about in zip(frames, known, strict=True)]

    def _frame(self, frame: PrintedFrame, known: About) -> dict[str, Any]:
        if (frame, known) not in self._placed:
            self._placed[frame, known] = self._place(frame, known)
        return self._placed[frame, known]

    def _place(self, frame: PrintedFrame, known: About) -> dict[str, Any]:
        for path in _candidates(frame.path):
            module = self._module(path)
            line = _line_in(module, frame, path == frame.path) if module else None
            if module and line is not None:
                return {"path": path, "function": frame.function, **_span(module, line, frame, known)}
        blank = {"line": frame.line, "function": frame.function, "code": frame.code or "", **_NOWHERE}
        if library := _library_file(frame.path):
            return {"path": library, **blank}
        return {"path": frame.path, "note": DIFFERS if os.path.isfile(frame.path) else NOT_HERE, **blank}

    def _module(self, path: str) -> Module | None:
        try:
            module = self._sources.module(path)
            return module if module.tree else None
        except SourceError:
            return None


def _function(frame: PrintedFrame) -> str:
    """The function's own name, also where Dynamo resumed it."""
    resumed = _RESUMED.match(frame.function)
    return resumed[1] if resumed else frame.function


def _line_in(module: Module, frame: PrintedFrame, exact: bool) -> int | None:
    """The line that the log means: the one it names, else the only one with that text in the function.

    Without a text to compare, only a file at the log's own path (`exact`) is taken for the log's.
    """
    if frame.code is None:
        return frame.line if exact and 0 < frame.line <= len(module.lines) else None
    name = _function(frame)
    lines = _lines_of(module, name) if name.isidentifier() else range(1, len(module.lines) + 1)
    same = {number for number in lines if module.line(number).strip() == frame.code}
    return frame.line if frame.line in same else same.pop() if len(same) == 1 else None


def _lines_of(module: Module, name: str) -> Iterable[int]:
    """The lines of all functions of that name."""
    functions = (node for node in ast.walk(module.tree) if isinstance(node, FUNCTIONS) and node.name == name)
    return (number for node in functions for number in range(node.lineno, (node.end_lineno or node.lineno) + 1))


def _span(module: Module, line: int, frame: PrintedFrame, known: About) -> dict[str, int | None]:
    """The guilty expression's lines and columns; the line alone where it cannot be told."""
    text = module.line(line)
    indent = len(text) - len(text.lstrip())
    start, end = (None if at is None else len(text[: indent + at].encode()) for at in (frame.start, frame.end))
    node = guilty(module, line, known, start, end)
    if node is None:
        return {"line": line, "column": None, "end_line": None, "end_column": None}
    return {
        "line": node.lineno,
        "column": node.col_offset,
        "end_line": node.end_lineno,
        "end_column": node.end_col_offset,
    }


def _candidates(path: str) -> Iterator[str]:
    """The files here that could be the log's: the same path, then those with the longest end of it in common.

    Looked for in the current folder, in the folders right below it, and among the installed packages.
    """
    if os.path.isfile(path):
        yield path
    parts = _SEPARATOR.split(_INSTALLED.sub("", path))
    for first in range(len(parts)):
        end = os.path.join("", *parts[first:])
        for folder in [*_project_folders(), *_package_folders(parts[first] if first < len(parts) - 1 else "")]:
            found = os.path.join(folder, end)
            if found != path and os.path.isfile(found):
                yield found


@functools.cache
def _project_folders() -> tuple[str, ...]:
    here = Path.cwd()
    below = sorted(folder for folder in here.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    return (str(here), *map(str, below))


@functools.cache
def _package_folders(name: str) -> tuple[str, ...]:
    """The folders that hold the installed package `name`; it is not imported."""
    try:
        spec = importlib.util.find_spec(name) if name.isidentifier() else None
    except (ImportError, ValueError):
        return ()
    return tuple(str(Path(place).parent) for place in (spec.submodule_search_locations or ()) if place) if spec else ()


def _library_file(path: str) -> str | None:
    """The file here of torch or the standard library that a log's path means, whatever its version."""
    inside = _INSTALLED.sub("", path)
    if inside != path and _SEPARATOR.split(inside)[0] == "torch":
        places = [os.path.join(folder, *_SEPARATOR.split(inside)) for folder in _package_folders("torch")]
    elif _STANDARD.match(path):
        places = [os.path.join(sysconfig.get_paths()["stdlib"], *_SEPARATOR.split(_STANDARD.sub("", path)))]
    else:
        return None
    return next(filter(os.path.isfile, places), None)
