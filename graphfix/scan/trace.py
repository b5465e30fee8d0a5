"""Reads breaks from a text log of `TORCH_LOGS=graph_breaks`, so that a server's log is enough."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from graphfix.message import parse, reason_of, skips_frame
from graphfix.scan.observation import Observation

_PREFIX = re.compile(r"^[VIWE]\d{4} [^\]]*\] (?:\[[^\]]*\] ?)*")
_HEADER = re.compile(r"Graph break(?: \(user stack suppressed[^)]*\))? in user code at (?P<path>.+?):(?P<line>\d+)$")
_FRAME = re.compile(r'^\s+File "(?P<path>[^"]+)", line (?P<line>\d+), in (?P<function>\S+)')


def read_log(text: str, ids: Mapping[str, str]) -> Observation:
    """The breaks that a log tells of; `ids` maps a break's type to its registry id."""
    seen = Observation()
    for record in _records(text):
        header = _HEADER.search(record.splitlines()[0])
        frames = [_frame(match) for match in map(_FRAME.match, record.splitlines()) if match]
        if header and not frames:
            frames = [_frame(header)]
        first, *nested = parse(reason_of(record), ids)
        seen.add(
            {
                "event": "break",
                "pass": "explain",
                "id": first.id,
                "type": first.type,
                "explanation": first.explanation,
                "hints": first.hints,
                "consequences": [message.id or message.type for message in nested],
                "hides_rest": skips_frame(record),
                "stack": frames,
            }
        )
    return seen


def _records(text: str) -> Iterator[str]:
    """The log records that announce a break, their prefixes removed."""
    lines: list[str] = []
    for line in text.splitlines():
        bare = _PREFIX.sub("", line)
        if _HEADER.search(bare):
            if lines:
                yield "\n".join(lines)
            lines = [bare]
        elif lines:
            lines.append(bare)
    if lines:
        yield "\n".join(lines)


def _frame(match: re.Match[str]) -> dict[str, object]:
    found = match.groupdict()
    blank = {"column": None, "end_line": None, "end_column": None}
    return {"path": found["path"], "line": int(found["line"]), "function": found.get("function", "?"), **blank}
