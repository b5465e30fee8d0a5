"""Places and replacements as SARIF has them: URIs with a base, regions in UTF-16 code units, fixes line by line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graphfix.model import Finding, Fix
from graphfix.report._paths import relative, uri

BASE = "%SRCROOT%"
COLUMNS = "utf16CodeUnits"
"""3.14.17. Viewers count so whatever the log says; Python counts characters."""

_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? .*\n(?P<body>(?:[-+ \\].*\n)*)", re.MULTILINE)


def bases() -> dict[str, Any]:
    """What the relative URIs are relative to (3.14.14): the current folder."""
    folder = Path.cwd().as_uri()
    return {BASE: {"uri": folder if folder.endswith("/") else f"{folder}/"}}


def artifact(path: str) -> dict[str, str]:
    """An artifactLocation (3.4)."""
    return {"uri": uri(path)} | ({} if relative(path) is None else {"uriBaseId": BASE})


def physical(finding: Finding) -> dict[str, Any]:
    """A physicalLocation (3.29); a span without columns is the whole line (3.30.6), line 0 the whole file."""
    location = finding.location
    shown: dict[str, Any] = {"artifactLocation": artifact(location.path)}
    if location.line < 1:
        return shown
    region = {"startLine": location.line}
    if location.end_line is not None:
        region["endLine"] = location.end_line
    if location.column is not None:
        region["startColumn"] = _units(finding, location.line, location.column) or 1
        end = location.end_column
        if end is not None and (column := _units(finding, location.end_line or location.line, end)) is not None:
            region["endColumn"] = column
    return shown | {"region": region}


def _units(finding: Finding, line: int, column: int) -> int | None:
    """A column from 1 in UTF-16 code units. None, which reaches to the line's end, for a line that is not at hand."""
    lines = finding.code.split("\n")
    at = line - finding.location.line
    return None if at >= len(lines) else column + 1 + sum(ord(char) > 0xFFFF for char in lines[at][:column])


def fix(made: Fix) -> dict[str, Any] | None:
    """A fix (3.55) as replacements of whole lines, None for one that changes nothing."""
    replacements = list(_replacements(made.diff))
    if not replacements or not made.edits:
        return None
    change = {"artifactLocation": artifact(made.edits[0].path), "replacements": replacements}
    return {"description": {"text": f"{made.title} ({made.safety})"}, "artifactChanges": [change]}


def _replacements(diff: str) -> Iterator[dict[str, Any]]:
    """What a unified diff replaces (3.57)."""
    for hunk in _HUNK.finditer(diff):
        line = int(hunk[1]) + (hunk[2] == "0")  # nothing is taken away: the line before
        old: list[str] = []
        new: list[str] = []
        for text in hunk["body"].split("\n"):
            if text.startswith("-"):
                old.append(text[1:] + "\n")
            elif text.startswith("+"):
                new.append(text[1:] + "\n")
            elif text.startswith("\\") and (last := new or old):  # No newline at end of file
                last[-1] = last[-1].removesuffix("\n")
            elif not text.startswith("\\"):
                if old or new:
                    yield _replacement(line, old, new)
                line += len(old) + 1
                old, new = [], []


def _replacement(line: int, old: list[str], new: list[str]) -> dict[str, Any]:
    region = {"startLine": line, "startColumn": 1, "endLine": line + len(old), "endColumn": 1}
    if old and not old[-1].endswith("\n"):  # the file ends with this line
        region = {"startLine": line, "startColumn": 1, "endLine": line + len(old) - 1}
    return {"deletedRegion": region, "insertedContent": {"text": "".join(new)}}
