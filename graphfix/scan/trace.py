"""Reads breaks from a text log of `TORCH_LOGS=graph_breaks`, so that a server's log is enough.

The warning "Graph break from `Tensor.item()`", which torch prints once even without `TORCH_LOGS`, counts as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from graphfix.message import parse, reason_of, skips_frame
from graphfix.scan.observation import Observation

_PREFIX = re.compile(r"^.*?(?P<own>(?:\[rank\d+\]:)?[VIWE]\d{4} [\d:.]+ \d+ [^\]]*\]) ?(?:\[[^\]]*\] ?)*")
_HEADER = re.compile(r"Graph break(?: \([^)]*\))? in user code at (?P<path>.+?):(?P<line>\d+)$")
_ITEM = re.compile(r"Graph break from `Tensor\.item\(\)`")
_SKIP = re.compile(r"Graph break: torch\.compile cannot properly resume")
_FRAME = re.compile(r'^\s+File "(?P<path>[^"]+)", line (?P<line>\d+), in (?P<function>.+)$')
_STACK = re.compile(
    r"^User code traceback:|^Graph break: from user code at:|^The graph break occurred in the following"
)


def read_log(text: str, ids: Mapping[str, str]) -> Observation:
    """The breaks that a log tells of; `ids` maps a break's type to its registry id."""
    events = [(_event(record, ids), bool(_ITEM.match(record))) for record in _records(text)]
    told = {_place(event) for event, warning in events if not warning}
    seen = Observation()
    for event, warning in events:
        if not (warning and _place(event) in told):  # the warning about a break that the log reports, too
            seen.add(event)
    return seen


def _event(record: str, ids: Mapping[str, str]) -> dict[str, Any]:
    header = _HEADER.search(record.splitlines()[0])
    frames = list(_stack(record))
    if header and not frames:
        frames = [_frame(header)]
    first, *nested = parse(reason_of(record), ids)
    return {
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


def _place(event: Mapping[str, Any]) -> tuple[object, ...]:
    last = event["stack"][-1] if event["stack"] else {}
    return (event["id"], last.get("path"), last.get("line"))


def _records(text: str) -> Iterator[str]:
    """The log records that announce a break, their prefixes removed.

    A record goes on while the prefix (level, time, process and place) stays the same; where lines have no prefix,
    until the next record begins.
    """
    lines: list[str] = []
    own: str | None = None
    for line in text.splitlines():
        prefix = _PREFIX.match(line)
        bare = line[prefix.end() :] if prefix else line
        begins = next(filter(None, (pattern.search(bare) for pattern in (_HEADER, _ITEM, _SKIP))), None)
        other = own is not None and (prefix is None or prefix["own"] != own)
        if begins:
            if lines:
                yield "\n".join(lines)
            lines, own = [bare[begins.start() :]], prefix["own"] if prefix else None
        elif lines and not other:
            lines.append(bare)
    if lines:
        yield "\n".join(lines)


def _stack(record: str) -> Iterator[dict[str, object]]:
    """The frames of the user's stack, which begins behind its own heading and ends with the next unindented line."""
    inside = False
    for line in record.splitlines():
        if _STACK.match(line):
            inside = True
        elif inside and line and not line.startswith(" "):
            return
        elif inside and (frame := _FRAME.match(line)):
            yield _frame(frame)


def _frame(match: re.Match[str]) -> dict[str, object]:
    found = match.groupdict()
    blank = {"column": None, "end_line": None, "end_column": None}
    return {"path": found["path"], "line": int(found["line"]), "function": found.get("function", "?"), **blank}
