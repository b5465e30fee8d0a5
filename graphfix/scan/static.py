"""Scans files by what their text shows; imports neither torch nor the files."""

from __future__ import annotations

import functools
import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from graphfix.errors import SourceError
from graphfix.model import Certainty, Finding
from graphfix.rule import Rule, Site
from graphfix.scan.cache import Cache, digest
from graphfix.scan.link import FileScan, FunctionFacts, linked
from graphfix.scan.processes import side_by_side
from graphfix.source.module import Module, guilty_part
from graphfix.source.suppress import suppressions
from graphfix.source.text import decode

__all__ = ["FileScan", "scan", "scan_file", "scan_text", "sites"]


def scan(paths: Iterable[Path], rules: Sequence[Rule], cache: Path | None = None, jobs: int = 1) -> list[FileScan]:
    """What the files show, in their order, one file's calls of another's functions followed.

    `cache` is the project whose remembered scans are used, None for none. `jobs` processes read what is new, 0 for as
    many as there are processors.
    """
    with _no_collection():
        named = list(map(str, paths))
        if cache is None or len(named) < _FEW:
            return linked(side_by_side(functools.partial(scan_file, rules=rules), named, jobs))
        contents = list(map(_content, named))
        known = Cache(cache, rules, [(path, content) for path, (content, _) in zip(named, contents, strict=True)])
        found = known.whole(named)
        if found is None:
            scans = _scan_new(named, contents, known, rules, jobs)
            found = linked(scans)
            known.keep_whole(found)
        return found


_FEW = 20
"""Fewer files than this are read sooner than a cache is."""


def _scan_new(
    paths: Sequence[str], contents: Sequence[tuple[bytes, str | None]], known: Cache, rules: Sequence[Rule], jobs: int
) -> list[FileScan]:
    """What each file shows: as remembered, or read now."""
    scans = {
        path: FileScan(path, error=error) if content == _EMPTY else known.file(path, content)
        for path, (content, error) in zip(paths, contents, strict=True)
    }
    new = [path for path, scan in scans.items() if scan is None]
    found = dict(zip(new, side_by_side(functools.partial(scan_file, rules=rules), new, jobs), strict=True))
    by_path = {path: content for path, (content, _) in zip(paths, contents, strict=True)}
    known.keep_files((by_path[path], scan) for path, scan in found.items() if scan.error is None)  # it names the path
    return [scans[path] or found[path] for path in paths]


_EMPTY = b""
"""Stands for the content of a file that has no findings, or cannot be read."""


def _content(path: str) -> tuple[bytes, str | None]:
    """The digest of a file's content, and why it cannot be read."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        return _EMPTY, _unreadable(path, error)
    return (digest(data) if _speaks_of_torch(data) else _EMPTY), None


def _speaks_of_torch(data: bytes) -> bool:
    return b"torch" in data or b"graphfix:" in data


def _unreadable(path: str, error: OSError) -> str:
    return f"{path} cannot be read: {error.strerror}."


def scan_file(path: str | Path, rules: Sequence[Rule]) -> FileScan:
    """What one file shows."""
    path = str(path)
    try:
        with open(path, "rb") as file:
            data = file.read()
        if not _speaks_of_torch(data):
            return FileScan(path)
        return scan_text(path, decode(data, path).text, rules)
    except OSError as error:
        return FileScan(path, error=_unreadable(path, error))
    except SourceError as error:
        return FileScan(path, error=str(error))


def scan_text(path: str, text: str, rules: Sequence[Rule]) -> FileScan:
    """What the text of a file shows; no findings where it does not speak of torch."""
    module = Module(path, text)
    try:
        found = [finding for finding, _ in sites(module, rules)]
        functions = tuple(_facts(module)) if "torch" in text else ()
        return FileScan(path, tuple(found), suppressions(module), functions=functions)
    except SourceError as error:
        return FileScan(path, error=str(error))
    except RecursionError:
        return FileScan(path, error=f"{path} nests expressions too deeply to be searched.")
    finally:
        module.close()


def sites(module: Module, rules: Sequence[Rule]) -> list[tuple[Finding, Site]]:
    """The findings of a module in order, each with the site that its rule would repair. Raises SourceError."""
    if "torch" not in module.text:
        return []
    try:
        found = [one for rule in rules if _may_find(rule, module.text) for one in _found(rule, module)]
    except RecursionError:
        raise SourceError(f"{module.path} nests expressions too deeply to be searched.") from None
    by_repair = {finding.location for rule, finding, _ in found if rule.repairs}
    left = [(one, site) for rule, one, site in found if rule.repairs or one.location not in by_repair]
    return sorted(left, key=lambda one: (one[0].location.line, one[0].location.column or 0))


def _may_find(rule: Rule, text: str) -> bool:
    return not rule.marks or any(mark in text for mark in rule.marks)


def _found(rule: Rule, module: Module) -> Iterator[tuple[Rule, Finding, Site]]:
    for site in rule.find(module):
        location = module.location(guilty_part(site.node))
        function = module.analysis.function(site.node)
        certainty = Certainty.CERTAIN if site.sure else Certainty.LIKELY
        message = f"{rule.name}: {site.message or rule.title}"
        name = function.name if function is not None else ""
        line = module.line(location.line)
        safety = rule.safety if rule.repairs else None
        finding = Finding(location, rule.code, message, line, None, None, certainty, name, safety)
        yield rule, finding, site


def _facts(module: Module) -> Iterator[FunctionFacts]:
    reached = module.analysis.reached
    for function in filter(reached.may_be, module.analysis.outline.all):
        local, foreign = reached.calls(function)
        names = dict.fromkeys(one.name for one in local)
        yield FunctionFacts(function.name, reached.of(function), tuple(names), tuple(sorted(foreign)))


@contextmanager
def _no_collection() -> Iterator[None]:
    """Python's garbage collector would look through the trees again and again, though nothing in them is garbage."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
