"""Makes the fixes that need no run: those that are exact by construction, found by their text."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from graphfix.errors import SourceError
from graphfix.model import Edit, Finding, Fix, FixRecord, FixStatus, Safety
from graphfix.rule import Rule, Site
from graphfix.scan.fixes import Place, fix, place, places
from graphfix.scan.link import FileScan, Links
from graphfix.scan.static import scan_text
from graphfix.source.sources import Sources

_ROUNDS = 5
"""A fix may show more: what stood in the dark without its `import torch`. More rounds would be rules at odds."""

Keep = Callable[[FileScan], Sequence[Finding]]
"""Which findings of a file count: those that are not suppressed, deselected or in a baseline."""


@dataclass(frozen=True)
class Exact:
    """The sources with the fixes made, what was made, what is left, and the files that could not be read."""

    sources: Sources
    records: tuple[FixRecord, ...]
    left: tuple[Finding, ...]
    skipped: tuple[tuple[str, str], ...]


def apply_exact(sources: Sources, paths: Iterable[Path], rules: Sequence[Rule], keep: Keep | None = None) -> Exact:
    """Fix what exact rules find in the files; only where `keep` counts it, if that is given."""
    kept = keep or (lambda scan: scan.findings)
    exact = [rule for rule in rules if rule.safety is Safety.EXACT and not rule.only_finds]
    codes = {rule.code for rule in exact}
    files = list(paths)
    read = [_scan(sources, path, rules) for path in files]
    links = Links(read)
    scans = [links.settled(scan) for scan in read]
    records: list[FixRecord] = []
    for at, scan in enumerate(scans):
        wanted, failed = _wanted(kept(scan), codes), 0
        for _ in range(_ROUNDS):
            if len(wanted) <= failed:
                break
            fixing = _File(str(files[at]), sources, exact)
            made = fixing.run(wanted)
            sources = fixing.sources
            failed = len(wanted) - len(made)
            records += made
            scans[at] = links.settled(_scan(sources, files[at], rules))
            wanted = _wanted(kept(scans[at]), codes)
    left = tuple(finding for scan in scans for finding in kept(scan))
    skipped = tuple((scan.path, scan.error) for scan in scans if scan.error is not None)
    return Exact(sources, tuple(records), left, skipped)


def _wanted(findings: Iterable[Finding], codes: Container[str | None]) -> list[Finding]:
    return [finding for finding in findings if finding.rule in codes]


def _scan(sources: Sources, path: Path, rules: Sequence[Rule]) -> FileScan:
    try:
        return scan_text(str(path), sources.module(str(path)).text, rules)
    except SourceError as error:
        return FileScan(str(path), error=str(error))


class _File:
    """One file's fixes, each made of the text that the one before it left (docs/decisions/0008)."""

    def __init__(self, path: str, sources: Sources, rules: Sequence[Rule]) -> None:
        self.path, self.sources, self._rules = path, sources, rules
        self._found = places(sources.module(path), rules)

    def run(self, wanted: Iterable[Finding]) -> list[FixRecord]:
        """Fix the findings from the last to the first, until none of those left can be fixed; what was done."""
        waiting = {place(finding): finding for finding in wanted}
        made: list[tuple[Finding, Fix]] = []
        fixed = -1
        while fixed < len(made):
            fixed, failed = len(made), dict[Place, Finding]()
            while waiting:
                where, finding = waiting.popitem()
                before = self.sources.module(self.path).text
                if (fix := self._fix(where)) is None:
                    failed[where] = finding
                    continue
                made.append((finding, fix))
                waiting, failed = _moved(waiting, fix.edits, before), _moved(failed, fix.edits, before)
            waiting = dict(reversed(failed.items()))
        return [_record(*one) for one in sorted(made, key=lambda one: place(one[0])[1:])]

    def _fix(self, where: Place) -> Fix | None:
        """Fix one place; None where its rule makes no fix of it, or would find its own output again."""
        found = self._found.get(where)
        if found is None or (made := fix(*found)) is None:
            return None
        sources = self.sources.with_edits(made.edits)
        after = places(sources.module(self.path), self._rules)
        if _count(after, made.rule) >= _count(self._found, made.rule):
            return None
        self.sources, self._found = sources, after
        return made


def _count(found: Mapping[Place, tuple[Rule, Site]], code: str) -> int:
    return sum(rule == code for rule, *_ in found)


def _moved(waiting: Mapping[Place, Finding], edits: Sequence[Edit], text: str) -> dict[Place, Finding]:
    """The places in the text that the edits of `text` make; an edit moves what stands below it."""
    moves = [(text.count("\n", 0, one.end), _lines_added(one, text)) for one in edits]

    def moved(line: int) -> int:
        return line + sum(by for end, by in moves if end < line)

    return {(rule, moved(line), column): finding for (rule, line, column), finding in waiting.items()}


def _lines_added(edit: Edit, text: str) -> int:
    return edit.text.count("\n") - text.count("\n", edit.start, edit.end)


def _record(finding: Finding, made: Fix) -> FixRecord:
    where = finding.location
    return FixRecord(made.rule, where.path, where.line, made.safety, FixStatus.KEPT, "exact", made.diff)
