"""From what files show to what is reported: selection, comments, certainty, baseline."""

from __future__ import annotations

import functools
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from graphfix.model import Certainty, Finding
from graphfix.rule import Rule
from graphfix.scan.link import FileScan
from graphfix.scan.patterns import compiled, place_in
from graphfix.scan.unused import unused
from graphfix.source.suppress import UNUSED, UNUSED_NAME, names

if TYPE_CHECKING:
    from graphfix.scan.baseline import Baseline, Entry


@dataclass(frozen=True)
class Filter:
    """What is reported. `selected` holds the codes of `rules` (all there are) that are, and GF001 if it is.

    `ignores` maps patterns for paths below `root` to codes that are not reported there. `likely` shows findings that
    are not certain, too; what the `baseline` holds is left out.
    """

    rules: Sequence[Rule]
    selected: frozenset[str]
    ignores: Mapping[str, Sequence[str]] = field(default_factory=dict)
    root: Path = Path()
    likely: bool = False
    baseline: Baseline | None = None

    def kept(self, scan: FileScan) -> list[Finding]:
        """The findings of one file that are reported, in order, comments that silence nothing among them."""
        new = self._known(scan)[0] if self.baseline else self._wanted(scan)
        return [finding for finding in new if self.likely or finding.certainty is Certainty.CERTAIN]

    def stale(self, scans: Sequence[FileScan]) -> int:
        """How many findings of the baseline the scanned files, or files that are gone, no longer have."""
        if self.baseline is None:
            return 0
        left = self.baseline.gone()
        for scan in scans:
            if scan.error is None:
                left |= self._known(scan)[1]
        return sum(count for entry, count in left.items() if entry.rule in self.selected)

    def _known(self, scan: FileScan) -> tuple[list[Finding], Counter[Entry]]:
        assert self.baseline is not None
        return self.baseline.match(scan.path, self._wanted(scan))

    def _wanted(self, scan: FileScan) -> list[Finding]:
        """What is selected for the file and not silenced in it."""
        selected = self._selected_in(scan.path)
        found = [finding for finding in scan.findings if finding.rule in selected and not self._silenced(finding, scan)]
        if UNUSED in selected and scan.suppressions:
            found += unused(scan, self.rules, selected)
            found.sort(key=lambda finding: (finding.location.line, finding.location.column or 0))
        return found

    def _silenced(self, finding: Finding, scan: FileScan) -> bool:
        code = finding.rule or ""
        return any(one.silences(finding.location, code, self._names.get(code, "")) for one in scan.suppressions)

    def _selected_in(self, path: str) -> frozenset[str]:
        """The codes that count in a file."""
        if not self._patterns:
            return self.selected
        place = place_in(self._real_root, path)
        ignored = [part for pattern, codes in self._patterns if pattern.match(place) for part in codes]
        return frozenset(
            code for code in self.selected if not any(names(part, code, self._names[code]) for part in ignored)
        )

    @functools.cached_property
    def _names(self) -> dict[str, str]:
        return {UNUSED: UNUSED_NAME, **{rule.code: rule.name for rule in self.rules}}

    @functools.cached_property
    def _real_root(self) -> str:
        return os.path.realpath(self.root)

    @functools.cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], Sequence[str]]]:
        return [(compiled([pattern], self._real_root), codes) for pattern, codes in self.ignores.items()]
