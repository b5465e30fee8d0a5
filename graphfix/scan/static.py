"""Scans files by what their text shows; imports neither torch nor the files."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from graphfix.errors import SourceError
from graphfix.model import Certainty, Finding
from graphfix.rule import Rule, Site
from graphfix.scan.link import Callees, FileScan, FunctionFacts, linked
from graphfix.source.module import Module, guilty_part
from graphfix.source.reach import WITHIN, may_compile
from graphfix.source.suppress import suppressions
from graphfix.source.text import decode

__all__ = ["FileScan", "scan", "scan_file", "scan_text", "sites"]


def scan(
    paths: Iterable[Path], rules: Sequence[Rule], cache: Path | None = None, jobs: int = 1, certain: bool = False
) -> list[FileScan]:
    """What the files show, in their order, one file's calls of another's functions followed.

    `cache` is the project whose remembered scans are used, None for none. `jobs` processes read what is new, 0 for as
    many as there are processors. `certain` searches, in many files, only what compiled code runs for certain, which is
    sooner done; a file that holds nothing of the kind is not even parsed.
    """
    with _no_collection():
        named = list(map(str, paths))
        certain = certain and len(named) >= _FEW
        if cache is None or len(named) < _FEW:
            return linked(_searched(named, rules, jobs, certain))
        from graphfix.scan.cache import Cache

        contents = list(map(_content, named))
        by_path = {path: content for path, (content, _) in zip(named, contents, strict=True)}
        known = Cache(cache, rules, list(by_path.items()), certain)
        found = known.whole(named)
        if found is None:
            errors = {path: error for path, (content, error) in zip(named, contents, strict=True) if content == _EMPTY}
            remembered = {path: known.file(path, content) for path, content in by_path.items()}
            old = {path: scan for path, scan in remembered.items() if scan is not None}
            old |= {path: FileScan(path, error=error) for path, error in errors.items()}
            scans = _searched(named, rules, jobs, certain, old, lambda new: known.keep_files(_readable(new, by_path)))
            found = linked(scans)
            known.keep_whole(found)
        return found


_FEW = 20
"""Fewer files than this are read sooner than a cache is, and searched whole."""


def _searched(
    paths: Sequence[str],
    rules: Sequence[Rule],
    jobs: int,
    certain: bool,
    known: Mapping[str, FileScan] = MappingProxyType({}),
    keep: Callable[[Sequence[FileScan]], None] = lambda new: None,
) -> list[FileScan]:
    """What each file shows: as `known`, or read now, which `keep` is told of; with `certain` also what the others'
    compiled code calls in it."""
    new = [path for path in paths if path not in known]
    entries: frozenset[str] | None = frozenset() if certain else None
    search = functools.partial(scan_file, rules=rules, entries=entries)
    read = _side_by_side(search, new, jobs) if len(new) >= _FEW else list(map(search, new))
    keep(read)
    scans = {**known, **dict(zip(new, read, strict=True))}
    if certain:
        _follow(scans, rules)
    return [scans[path] for path in paths]


def _side_by_side(search: Callable[[str], FileScan], paths: Sequence[str], jobs: int) -> list[FileScan]:
    from graphfix.scan.processes import side_by_side  # a scan of few files starts sooner without

    return side_by_side(search, paths, jobs)


def _follow(scans: dict[str, FileScan], rules: Sequence[Rule]) -> None:
    """Search also what one file's compiled code calls in another, until nothing is left to search."""
    asked: dict[str, frozenset[str]] = {}
    callees = Callees(scans)
    changed = list(scans.values())
    while wanted := callees.of(changed):
        changed = []
        for path, names in wanted.items():
            if new := names - asked.get(path, frozenset()):
                asked[path] = asked.get(path, frozenset()) | new
                if _defines(_text(path), new):
                    scans[path] = scan_file(path, rules, asked[path])
                    changed.append(scans[path])


def _text(path: str) -> str:
    try:
        return decode(Path(path).read_bytes(), path).text
    except (OSError, SourceError):
        return ""


def _readable(scans: Sequence[FileScan], contents: Mapping[str, bytes]) -> Iterator[tuple[bytes, FileScan]]:
    return ((contents[scan.path], scan) for scan in scans if scan.error is None)  # an error names the path


_EMPTY = b""
"""Stands for the content of a file that has no findings, or cannot be read."""


def _content(path: str) -> tuple[bytes, str | None]:
    """The digest of a file's content, and why it cannot be read."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        return _EMPTY, _unreadable(path, error)
    from graphfix.scan.cache import digest

    return (digest(data) if _speaks_of_torch(data) else _EMPTY), None


def _speaks_of_torch(data: bytes) -> bool:
    return b"torch" in data or b"graphfix:" in data


def _unreadable(path: str, error: OSError) -> str:
    return f"{path} cannot be read: {error.strerror}."


def scan_file(path: str | Path, rules: Sequence[Rule], entries: frozenset[str] | None = None) -> FileScan:
    """What one file shows; of what no compiled code runs only with `entries` None (see `Module`)."""
    path = str(path)
    try:
        with open(path, "rb") as file:
            data = file.read()
        if not _speaks_of_torch(data):
            return FileScan(path)
        return scan_text(path, decode(data, path).text, rules, entries)
    except OSError as error:
        return FileScan(path, error=_unreadable(path, error))
    except SourceError as error:
        return FileScan(path, error=str(error))


def scan_text(path: str, text: str, rules: Sequence[Rule], entries: frozenset[str] | None = None) -> FileScan:
    """What the text of a file shows; no findings where it does not speak of torch."""
    if "graphfix:" in text:
        entries = None  # whether a comment silences anything, all findings tell
    elif entries is not None and not _may_compile(text) and not _defines(text, entries):
        rules = [rule for rule in rules if rule.anywhere and _may_find(rule, text, {})]
        if not rules:
            return FileScan(path)
    module = Module(path, text, entries)
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
        looked: dict[str, bool] = {}
        found = [one for rule in rules if _may_find(rule, module.text, looked) for one in _found(rule, module)]
    except RecursionError:
        raise SourceError(f"{module.path} nests expressions too deeply to be searched.") from None
    by_repair = {finding.location for rule, finding, _ in found if not rule.only_finds}
    left = [(one, site) for rule, one, site in found if not rule.only_finds or one.location not in by_repair]
    return sorted(left, key=lambda one: (one[0].location.line, one[0].location.column or 0))


def _may_compile(text: str) -> bool:
    """Whether a text may hold what is compiled by itself."""
    return "def forward" in text or may_compile(text)


def _defines(text: str, names: Iterable[str]) -> bool:
    """Whether a text may define one of these functions."""
    return any(f"def {name.removesuffix(WITHIN).rpartition('.')[2]}" in text for name in names)


def _may_find(rule: Rule, text: str, looked: dict[str, bool]) -> bool:
    """Whether the text holds a mark of the rule; `looked` remembers what was looked for in it."""
    if type(rule).find is Rule.find:
        return False
    for mark in rule.marks:
        if mark not in looked:
            looked[mark] = mark in text
        if looked[mark]:
            return True
    return not rule.marks


def _found(rule: Rule, module: Module) -> Iterator[tuple[Rule, Finding, Site]]:
    for site in rule.find(module):
        location = module.location(guilty_part(site.node))
        function = None if rule.anywhere else module.analysis.function(site.node)
        certainty = Certainty.CERTAIN if site.sure else Certainty.LIKELY
        message = f"{rule.name}: {site.message or rule.title}"
        name = function.name if function is not None else ""
        line = module.line(location.line)
        safety = None if rule.only_finds else rule.safety
        finding = Finding(location, rule.code, message, line, None, None, certainty, name, safety)
        yield rule, finding, site


def _facts(module: Module) -> Iterator[FunctionFacts]:
    reached = module.analysis.reached
    searched = reached.may_be if module.entries is None else reached.compiled.__contains__
    for function in filter(searched, module.analysis.outline.all):
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
