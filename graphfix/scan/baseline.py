"""A baseline: the findings that a project knows of, so that only new ones are reported."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from graphfix.errors import ConfigError, WriteError
from graphfix.model import Certainty, Finding

SCHEMA = 1


class Entry(NamedTuple):
    """What a finding is known by: neither its line nor its indentation. `path` counts from the baseline's folder."""

    path: str
    rule: str
    function: str
    fingerprint: str


@dataclass(frozen=True)
class Baseline:
    """A baseline file, read: how often each entry of each path occurs."""

    file: Path
    counts: dict[str, Counter[Entry]]

    def match(self, path: str, findings: Sequence[Finding]) -> tuple[list[Finding], Counter[Entry]]:
        """The findings of a file that are new, in order, and the file's entries that none matched.

        What is the same in another function, as after it was renamed, is taken for the same.
        """
        place = _relative(path, self.file)
        left = Counter(self.counts.get(place))
        certain_first = sorted(range(len(findings)), key=lambda i: findings[i].certainty is not Certainty.CERTAIN)
        new = [i for i in certain_first if not _take(left, [_entry(findings[i], place)])]
        new = [i for i in new if not _take(left, _namesakes(left, _entry(findings[i], place)))]
        return [findings[i] for i in sorted(new)], +left

    def gone(self) -> Counter[Entry]:
        """The entries of files that are no more."""
        missing = [known for path, known in self.counts.items() if not (self.file.parent / path).exists()]
        return sum(missing, Counter())


def _take(left: Counter[Entry], candidates: list[Entry]) -> bool:
    for entry in candidates:
        if left[entry] > 0:
            left[entry] -= 1
            return True
    return False


def _namesakes(left: Counter[Entry], wanted: Entry) -> list[Entry]:
    """The entries that differ in the function only."""
    return [entry for entry in left if entry._replace(function=wanted.function) == wanted]


def _entry(finding: Finding, path: str) -> Entry:
    code = " ".join(finding.code.split())
    return Entry(path, finding.rule or "", finding.function, hashlib.sha256(code.encode()).hexdigest()[:16])


def _relative(path: str, file: Path) -> str:
    return Path(os.path.relpath(os.path.realpath(path), os.path.realpath(file.parent))).as_posix()


def read(file: Path) -> Baseline:
    """The baseline in a file. Raises ConfigError where it is missing or is none."""
    try:
        data: Any = json.loads(file.read_bytes())
        if data["schema"] != SCHEMA:
            raise ConfigError(f"baseline {file} has schema {data['schema']}, not {SCHEMA}; write it anew.")
        counts: dict[str, Counter[Entry]] = {}
        for row in data["findings"]:
            count = row["count"]
            entry = Entry(*(row[name] for name in Entry._fields))
            if not all(isinstance(value, str) for value in entry) or not isinstance(count, int):
                raise TypeError
            counts.setdefault(entry.path, Counter())[entry] += count
    except OSError as error:
        raise ConfigError(
            f"baseline {file} cannot be read: {error.strerror}; write it with graphfix scan --write-baseline {file}."
        ) from None
    except (ValueError, KeyError, TypeError):
        raise ConfigError(f"{file} is no baseline; write it with graphfix scan --write-baseline {file}.") from None
    return Baseline(file, counts)


def write(file: Path, findings: Iterable[Finding]) -> None:
    """Write a baseline of the findings, whole or not at all. Raises WriteError."""
    counts = Counter(_entry(finding, _relative(finding.location.path, file)) for finding in findings)
    rows = [{**entry._asdict(), "count": count} for entry, count in sorted(counts.items())]
    text = json.dumps({"schema": SCHEMA, "findings": rows}, indent=1) + "\n"
    made = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        made.write_text(text, encoding="utf-8")
        os.replace(made, file)
    except OSError as error:
        made.unlink(missing_ok=True)
        raise WriteError(f"{file} cannot be written: {error.strerror}; name a place that can be.") from None
