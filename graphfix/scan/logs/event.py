"""What one record of a log tells, as the events that a worker would have sent (see `Observation`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from graphfix.message import Message, parse, reason_of, skips_frame
from graphfix.printed import PrintedFrame, stack_of
from graphfix.scan.logs.guilty import About, about
from graphfix.scan.logs.records import Kind, Record
from graphfix.scan.process import Event

_HEADER = re.compile(r"in user code at (?P<path>\S.*?):(?P<line>\d+)(?=\s|$)")
_ITEM = Message("GB0124", "Graph break from `Tensor.item()`", "", ())
_RAISED = re.compile(r"torch\._dynamo\.exc\.\w+: ")
_DIRECT_CAUSE = re.compile(r"\n+The above exception was the direct cause")

_OLD = (
    (re.compile(r"data dependent operator: "), "GB0033"),
    (re.compile(r"Dynamic control flow is not supported"), "GB0170"),
    (re.compile(r"Logger not supported for non-export cases"), "GB0291"),
    (re.compile(r"Graph break due to unsupported (?:Python )?builtin |'skip function "), "GB0007"),
    (re.compile(r"'inline in skipfiles: "), "GB0008"),
    (re.compile(r"torch\.\* op returned non-Tensor "), "GB0208"),
    (re.compile(r"Input tensor for tolist "), "GB0109"),
    (re.compile(r"call_method UserDefinedObjectVariable"), "GB0156"),
    (re.compile(r"backend compiler (?:exception|failed) ", re.IGNORECASE), "GB0219"),
)
"""How types begin in torch 2.6 and 2.7, before they had ids."""

_RECOMPILED = re.compile(r"Recompiling function (?P<function>\S+) in (?P<path>.+):(?P<line>\d+)")
_LIMITED = re.compile(r"function: '(?P<function>[^']+)' \((?P<path>.+):(?P<line>\d+)\)")
_GUARD = re.compile(r"^\s*(?:- |last reason: )(?P<guard>.*)$", re.MULTILINE)
_SKIPPED = re.compile(r"skipping: (?P<function>\S+) \(reason: (?P<reason>.*), file: (?P<path>.*)\)", re.DOTALL)
_ORDINARY = ("no tensor-related objects", "in the Dynamo skipfiles list", "in skipfiles", "No ops traced")
_UNGRAPHED = re.compile(r"skipping cudagraphs due to (?P<reason>.*?)(?:\.? Found from|\n|$)")
_PLACE = re.compile(r'File "(?P<path>[^"]+)", line (?P<line>\d+)')


@dataclass(frozen=True, slots=True)
class LoggedBreak:
    """A break as a log tells it: `messages` holds, after its own, those of its consequences.

    `echo`: torch prints such a record beside the report of the same break, or instead of one.
    """

    messages: tuple[Message, ...]
    stack: tuple[PrintedFrame, ...]
    about: About
    hides_rest: bool = False
    echo: bool = False

    @property
    def place(self) -> tuple[object, ...]:
        """What tells breaks apart that a log reports more than once."""
        return (self.messages[0].id or self.messages[0].type, self.stack[-1].path, self.stack[-1].line)


def told(record: Record, ids: Mapping[str, str]) -> LoggedBreak | Event | None:
    """The break or other event that a record tells of; None where it says too little.

    `ids` maps a break's type to its registry id.
    """
    match record.kind:
        case Kind.RECOMPILE:
            return _recompile(record.text, _RECOMPILED)
        case Kind.LIMIT:
            found = _recompile(record.text, _LIMITED)
            return {**found, "limit": True} if found else None
        case Kind.SKIPPED_FRAME:
            return _skipped_frame(record.text)
        case Kind.CUDAGRAPH_SKIP:
            return _cudagraph_skip(record.text)
        case _:
            return _break(record, ids)


def _break(record: Record, ids: Mapping[str, str]) -> LoggedBreak | None:
    text = record.text
    stack = stack_of(text)
    if record.kind is Kind.BREAK:
        stack = _with_header(stack, text)
    if not stack or (record.kind is Kind.BREAK and "Reason: " not in text):
        return None
    if record.kind in (Kind.ITEM, Kind.CUT_ITEM):
        messages: tuple[Message, ...] = (_ITEM,)
    else:
        raised = record.kind is Kind.RAISED
        reason = _RAISED.sub("", _DIRECT_CAUSE.split(text)[0], count=1) if raised else text
        messages = tuple(map(_with_id, parse(reason_of(reason), ids)))
    return LoggedBreak(
        messages=messages,
        stack=tuple(stack),
        about=about(messages[0], text, stack[-1].function),
        hides_rest=record.kind is Kind.RAISED or skips_frame(text),
        echo=record.kind not in (Kind.BREAK, Kind.SKIP),
    )


def _with_header(stack: list[PrintedFrame], text: str) -> list[PrintedFrame]:
    """The stack, ended by the place in the header where it leads elsewhere: into a frame that is not yet begun."""
    header = _HEADER.search(text)
    if header is None or "Original traceback:" in text:
        return stack
    place = PrintedFrame(header["path"], int(header["line"]))
    return stack if any((f.path, f.line) == (place.path, place.line) for f in stack) else [*stack, place]


def _with_id(message: Message) -> Message:
    old = next((id_ for pattern, id_ in _OLD if pattern.match(message.type)), None)
    return replace(message, id=old) if message.id is None and old else message


def recompiled(guard: str, function: str = "?", path: str | None = None, line: int | None = None) -> Event:
    """A recompilation; `guard` is the failed one as torch prints it: `0/1: tensor 'x' size mismatch …`."""
    reason = re.sub(r"^\d+/\d+: ", "", guard.strip().partition("\n")[0].split("  # ")[0].strip())
    return {"event": "recompile", "function": function, "path": path, "line": line, "reason": reason}


def _recompile(text: str, pattern: re.Pattern[str]) -> Event | None:
    found, guard = pattern.search(text), _GUARD.search(text)
    if found is None or guard is None:
        return None
    return recompiled(guard["guard"], found["function"], found["path"], int(found["line"]))


def _skipped_frame(text: str) -> Event | None:
    found = _SKIPPED.match(text)
    if found is None or any(part in found["reason"] for part in _ORDINARY):
        return None
    reason = found["reason"].partition("\n")[0]
    return {"event": "skipped_frame", "line": 0, **found.groupdict(), "reason": reason}


def _cudagraph_skip(text: str) -> Event | None:
    found, places = _UNGRAPHED.match(text), list(_PLACE.finditer(text))
    path, line = (places[-1]["path"], int(places[-1]["line"])) if places else (None, None)
    return {"event": "cudagraph_skip", "reason": found["reason"], "path": path, "line": line} if found else None
