"""Makes the fixes that need no run: those that are exact by construction, found by their text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from graphfix.errors import SourceError
from graphfix.model import Finding, FixRecord, FixStatus, Safety
from graphfix.rule import Rule
from graphfix.scan.static import scan_module
from graphfix.source.sources import Sources

_LIMIT = 1000
"""No file needs more fixes than this; more means that a rule's own output matches it again."""


@dataclass(frozen=True)
class Exact:
    """The sources with the fixes made, what was made, what is left, and the files that could not be read."""

    sources: Sources
    records: tuple[FixRecord, ...]
    left: tuple[Finding, ...]
    skipped: tuple[tuple[str, str], ...]


def apply_exact(sources: Sources, paths: Iterable[Path], rules: Sequence[Rule]) -> Exact:
    """Fix each file until nothing exact is left in it, or a rule meets its own output again."""
    records: list[FixRecord] = []
    left: list[Finding] = []
    skipped: list[tuple[str, str]] = []
    for path in paths:
        try:
            texts = {sources.module(str(path)).text}
            while (finding := _next_exact(sources, path, rules)) is not None:
                fix = finding.fix
                assert fix is not None
                fixed = sources.with_edits(fix.edits)
                text = fixed.module(str(path)).text
                if text in texts or len(texts) > _LIMIT:
                    break
                texts.add(text)
                sources = fixed
                place = finding.location
                made = FixRecord(fix.rule, place.path, place.line, fix.safety, FixStatus.KEPT, "exact", fix.diff)
                records.append(made)
            left += scan_module(sources.module(str(path)), rules)
        except SourceError as error:
            skipped.append((str(path), str(error)))
    return Exact(sources, tuple(records), tuple(left), tuple(skipped))


def _next_exact(sources: Sources, path: Path, rules: Sequence[Rule]) -> Finding | None:
    found = scan_module(sources.module(str(path)), rules)
    return next((f for f in found if f.fix is not None and f.fix.safety is Safety.EXACT), None)
