"""Reads the files that torch writes into the folder TORCH_TRACE names: its structured log.

Each entry is a line of JSON behind torch's usual prefix and, on lines of their own after a tab, a payload
(`trace_structured` in torch/_logging/_internal.py; the same in 2.6 to 2.13).
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

_HEAD = re.compile(r'^(?:\[rank\d+\]:)?[VDIWEC]\d{4} \d\d:\d\d:[\d.]+ \d+ [^\]]*:\d+\] (?P<entry>\{".*)')
_WANTED = tuple(
    f'{{"{name}": ' for name in ("artifact", "str", "dynamo_start", "dynamo_output_graph", "compilation_metrics")
)

BREAK, ERROR, RECOMPILE = "dynamo_graph_break_reason", "dynamo_error", "recompile_reasons"
START, GRAPH, END, STRING = "dynamo_start", "dynamo_output_graph", "compilation_metrics", "str"


@dataclass(slots=True)
class Entry:
    """One entry: its name (an artifact's own one) and what torch tells of it.

    `frame` numbers the function that is compiled, `compilation` is a pair of it and how often it was.
    """

    name: str
    about: Any
    frame: int | None
    attempt: int | None
    lines: list[str] = field(default_factory=list)

    @property
    def compilation(self) -> tuple[int | None, int | None]:
        return (self.frame, self.attempt)

    @property
    def payload(self) -> str:
        return "\n".join(self.lines)


def is_structured(line: str) -> bool:
    """Whether a line begins an entry."""
    return _HEAD.match(line) is not None


def entries(lines: Iterable[str]) -> Iterator[Entry]:
    """The entries about breaks, graphs and recompiles; what a dying process left half written is dropped."""
    entry: Entry | None = None
    for line in lines:
        if line.startswith("\t"):
            if entry:
                entry.lines.append(line[1:].rstrip("\n"))
            continue
        if entry:
            yield entry
        head = _HEAD.match(line)
        entry = _entry(head["entry"]) if head else None
    if entry:
        yield entry


def _entry(text: str) -> Entry | None:
    if not text.startswith(_WANTED):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    name, about = next(iter(found.items()))
    own = about.get("name", "") if name == "artifact" else name
    return Entry(own, about, found.get("frame_id"), found.get("frame_compile_id"))


def started(entry: Entry, names: dict[int, str]) -> dict[str, Any]:
    """The function that a START entry is about; `names` are the strings that the file numbered so far."""
    *_, frame = entry.about["stack"] or [{}]
    return {
        "function": frame.get("name", "?"),
        "path": names.get(frame.get("filename", -1)),
        "line": frame.get("line"),
    }


def reasons(payload: str) -> list[str]:
    """The guards that failed, of a RECOMPILE entry: torch writes one as it is, several as JSON."""
    if payload.startswith("["):
        try:
            return [str(reason) for reason in json.loads(payload)]
        except ValueError:
            return []
    return [payload] if payload.strip() else []


def count_ops(payload: str) -> int:
    """The operations of a graph as `print_readable` writes it, 0 where the text is cut off.

    Assignments that only rename an input or read a parameter are none.
    """
    try:
        tree = ast.parse(payload)
    except (SyntaxError, ValueError, RecursionError):
        return 0
    forward = next((node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)), None)
    values = (
        (getattr(node, "value", None) for node in forward.body if not isinstance(node, ast.Return)) if forward else ()
    )
    return sum(value is not None and not _is_read(value) for value in values)


def _is_read(value: ast.expr) -> bool:
    """Whether an assigned value is a name, a constant, or an attribute of the module itself."""
    while isinstance(value, ast.Attribute):
        value = value.value
        if isinstance(value, ast.Name):
            return value.id == "self"
    return isinstance(value, ast.Name | ast.Constant)
