"""Follows calls from file to file: what compiled code of one file calls in another is compiled, too."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from graphfix.model import Certainty, Finding
from graphfix.source.reach import WITHIN, Reach
from graphfix.source.suppress import Suppression


@dataclass(frozen=True, slots=True)
class FileScan:
    """What one file's text shows, before anything is left out.

    The certainty of `findings` is that which they have where a compiled region runs them; `functions` tells which ones
    do (graphfix.scan.link puts the two together). `error` says why the file could not be read or parsed.
    """

    path: str
    findings: tuple[Finding, ...] = ()
    suppressions: tuple[Suppression, ...] = ()
    error: str | None = None
    functions: tuple[FunctionFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class FunctionFacts:
    """A function's reach, the functions of its own file that it calls, and the qualified names of others."""

    name: str
    reach: Reach
    local: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()


class Links:
    """Which functions of some files compiled code runs, one file's calls of another's functions followed."""

    def __init__(self, scans: Sequence[FileScan]) -> None:
        self._compiled = _compiled(scans)

    def settled(self, scan: FileScan) -> FileScan:
        """A scan with each finding's certainty settled, those left out that nothing ties to a compiled region."""
        return replace(scan, findings=tuple(self._findings(scan)), functions=())

    def _findings(self, scan: FileScan) -> Iterator[Finding]:
        reach = {one.name: one.reach for one in scan.functions}
        for finding in scan.findings:
            if not finding.function or (scan.path, finding.function) in self._compiled:
                yield finding
            elif reach.get(finding.function) is not Reach.NONE:
                yield replace(finding, certainty=Certainty.LIKELY)


def linked(scans: Sequence[FileScan]) -> list[FileScan]:
    """The scans, settled by each other."""
    links = Links(scans)
    return [links.settled(scan) for scan in scans]


class Callees:
    """What the compiled code of some files calls in others of them."""

    def __init__(self, scans: Mapping[str, FileScan]) -> None:
        self._scans = scans
        self._modules = {_module(path): path for path, scan in scans.items() if scan.error is None}

    def of(self, callers: Sequence[FileScan]) -> dict[str, set[str]]:
        """The functions by file that these call, those left out that have been searched."""
        compiled = _compiled(callers)
        wanted: dict[str, set[str]] = {}
        for caller in callers:
            called = {name for one in caller.functions if (caller.path, one.name) in compiled for name in one.foreign}
            for name in called:
                for path, function in _defined(name, caller.path, self._modules):
                    known = self._scans[path].functions
                    if all(one.name != function and not one.name.startswith(f"{function}.") for one in known):
                        wanted.setdefault(path, set()).add(function)
        return wanted


def _compiled(scans: Sequence[FileScan]) -> set[tuple[str, str]]:
    """The functions, by path and name, that compiled code runs."""
    modules = {_module(scan.path): scan.path for scan in scans if scan.functions}
    functions = {(scan.path, one.name): one for scan in scans for one in scan.functions}
    within: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for path, name in functions:
        if (cut := name.rfind(WITHIN)) > 0:
            within.setdefault((path, name[:cut] + WITHIN), []).append((path, name))
    todo = [key for key, one in functions.items() if one.reach is Reach.COMPILED]
    found = set[tuple[str, str]]()
    while todo:
        key = todo.pop()
        if key in within:
            todo += within[key]
        if key in found or key not in functions:
            continue
        found.add(key)
        one = functions[key]
        todo += [(key[0], name) for name in one.local]
        for name in one.foreign:
            todo += _defined(name, key[0], modules)
    return found


def _defined(name: str, path: str, modules: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Where a qualified name that the file at `path` imports is defined: next to it where the name begins with dots,
    else below any of the folders around it."""
    rest = name.lstrip(".")
    dots = len(name) - len(rest)
    parts = rest.split(".")
    for root in _roots(os.path.dirname(os.path.abspath(path)), dots):
        for cut in range(len(parts) - 1, -1 if dots else 0, -1):
            if (found := modules.get(os.sep.join((root, *parts[:cut])))) is not None:
                yield found, ".".join(parts[cut:])
                return


@functools.cache
def _roots(folder: str, dots: int) -> tuple[str, ...]:
    """The folders below which the modules lie that files in `folder` import."""
    if dots:
        return (os.path.normpath(os.path.join(folder, *[".."] * (dots - 1))),)
    return (folder, *map(str, Path(folder).parents))


def _module(path: str) -> str:
    """The path of a module without its suffix, that of its folder for a package."""
    return os.path.abspath(path).removesuffix(".py").removesuffix(f"{os.sep}__init__")
