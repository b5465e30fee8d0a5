"""Scans files by what syntax and scope make certain; imports neither torch nor the files."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from graphfix.errors import SourceError
from graphfix.model import Finding
from graphfix.rule import Rule
from graphfix.source.module import Module, guilty_part
from graphfix.source.paths import OVERLAY_MANIFEST
from graphfix.source.suppress import is_suppressed
from graphfix.source.text import decode

_NEVER = frozenset({"__pycache__", "node_modules", "site-packages", "build", "dist"})
_MARKS = ("pyvenv.cfg", OVERLAY_MANIFEST)
"""Files that say of a folder that it holds an environment, or patched copies."""


def scan(
    paths: Iterable[Path], rules: Sequence[Rule], exclude: Sequence[str] = ()
) -> tuple[list[Finding], list[tuple[str, str]]]:
    """Findings of all Python files under `paths`, and the files that could not be read, with the reason."""
    findings: list[Finding] = []
    skipped: list[tuple[str, str]] = []
    for path in python_files(paths, exclude):
        try:
            findings.extend(scan_file(path, rules))
        except SourceError as error:
            skipped.append((str(path), str(error)))
    return findings, skipped


def scan_file(path: Path, rules: Sequence[Rule]) -> list[Finding]:
    """The findings of one file, in order. Raises SourceError where it cannot be read or parsed."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.") from None
    return scan_module(Module(str(path), decode(data, str(path)).text), rules)


def scan_module(module: Module, rules: Sequence[Rule]) -> list[Finding]:
    """The findings of one module, in order; none where it does not speak of torch. Raises SourceError."""
    if "torch" not in module.text:
        return []
    try:
        found = [finding for rule in rules for finding in _findings(rule, module)]
    except RecursionError:
        raise SourceError(f"{module.path} nests expressions too deeply to be searched.") from None
    return sorted(found, key=lambda finding: (finding.location.line, finding.location.column or 0))


def _findings(rule: Rule, module: Module) -> Iterator[Finding]:
    for site in rule.find(module):
        location = module.location(guilty_part(site.node))
        if not is_suppressed(module, location.line, rule.code, rule.name):
            yield Finding(
                location, rule.code, f"{rule.name}: {rule.title}", module.line(location.line), fix=rule.fix(site)
            )


def python_files(paths: Iterable[Path], exclude: Sequence[str] = ()) -> Iterator[Path]:
    """The files named, and the `.py` files below the folders named, sorted, each once; hidden folders, overlays and
    what is installed are left out.

    `exclude` holds patterns for paths and names, as `fnmatch` reads them.
    """
    seen: set[str] = set()
    for path in paths:
        for file in _below(path, exclude) if path.is_dir() else (path,):
            real = os.path.realpath(file)
            if real not in seen:
                seen.add(real)
                yield file


def _below(path: Path, exclude: Sequence[str]) -> Iterator[Path]:
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in _NEVER
            and not _excluded(os.path.join(folder, name), exclude)
            and not any(os.path.exists(os.path.join(folder, name, mark)) for mark in _MARKS)
        )
        for name in sorted(files):
            place = os.path.join(folder, name)
            if name.endswith(".py") and not _excluded(place, exclude):
                yield Path(place)


def _excluded(path: str, patterns: Sequence[str]) -> bool:
    path = os.path.normpath(path)
    return any(
        fnmatch.fnmatch(path, pattern)
        or fnmatch.fnmatch(path, f"*/{pattern}")
        or fnmatch.fnmatch(os.path.basename(path), pattern)
        or path.startswith(f"{pattern}/")
        for pattern in (given.rstrip("/") for given in patterns)
    )
