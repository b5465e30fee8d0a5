"""How many of the breaks that compiling shows a scan of the files names as well. Prints a table by family.

    python tests/recall.py REPORT.json...

The reports are those of `graphfix scan TARGETS --scope PACKAGE --format json` of the examples. Of each package with a
site in them, all files are scanned. A site counts as named where a finding touches its lines and, if both have columns,
its columns.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from graphfix.model import Certainty, Finding
from graphfix.registry import all_rules
from graphfix.scan import static
from graphfix.scan.files import python_files

FAMILIES = {
    "GF1 scalars": "GB0124 GB0109 GB0033 GB0219",
    "GF2 branches": "GB0170",
    "GF3 side effects": "GB0059 GB0291 GB0007 GB0008 GB0156 GB0142",
    "GF4 data-dependent shapes": "GB0036 GB0246",
}


def main() -> None:
    sites = list(distinct(sys.argv[1:]))
    found = findings({package(site["path"]) for site in sites})
    table: dict[str, Counter[str]] = {}
    missed = []
    for site in sites:
        named = [one for one in found.get(site["path"], ()) if touches(one, site)]
        sure = any(one.certainty is Certainty.CERTAIN for one in named)
        kind = "certain" if sure else "likely" if named else "not named"
        table.setdefault(family(site["id"]), Counter())[kind] += 1
        if not sure:
            missed.append((kind, site))
    print("| family | sites | certain | likely | not named | share certain |\n|---|---|---|---|---|---|")
    for name, counts in sorted(table.items()):
        row(name, counts)
    row("all", sum(table.values(), Counter()))
    for kind, site in missed:
        path = site["path"].rpartition("site-packages/")[2]
        print(f"{kind}: {path}:{site['line']} {site['id']} {site['function']}: {site['explanation'][:60]}")


def row(name: str, counts: Counter[str]) -> None:
    share = f"{100 * counts['certain'] / counts.total():.0f} %"
    print(f"| {name} | {counts.total()} | {counts['certain']} | {counts['likely']} | {counts['not named']} | {share} |")


def distinct(reports: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The sites of all targets, each place once."""
    seen = set()
    for report in reports:
        for target in json.loads(Path(report).read_text())["targets"]:
            for site in target["sites"]:
                key = (site["path"], site["line"], site["column"], site["id"])
                if key not in seen:
                    seen.add(key)
                    yield site


def package(path: str) -> Path:
    """The folder of the outermost package that holds a file."""
    folder = Path(path).parent
    while (folder.parent / "__init__.py").exists():
        folder = folder.parent
    return folder


def findings(folders: set[Path]) -> dict[str, list[Finding]]:
    """What a scan of each folder finds, by file."""
    by_path: dict[str, list[Finding]] = {}
    for folder in sorted(folders):
        for scan in static.scan(python_files([folder], gitignore=False), all_rules(), jobs=0):
            by_path[scan.path] = list(scan.findings)
    return by_path


def touches(finding: Finding, site: dict[str, Any]) -> bool:
    """Whether a finding's place and a site's have a character, or without columns a line, in common."""
    place = finding.location
    first, last = (site["line"], site["column"] or 0), (site["end_line"] or site["line"], site["end_column"] or 10**6)
    return (place.line, place.column or 0) < last and first < (place.end_line or place.line, place.end_column or 10**6)


def family(id: str | None) -> str:
    """The family that a kind of break belongs to."""
    return next((name for name, ids in FAMILIES.items() if id in ids.split()), "GF5 and others")


if __name__ == "__main__":
    main()
