"""Collects every graph break that Dynamo reports, with the exact instruction it happened at.

Every break passes the `graph_breaks` loggers of three Dynamo modules (torch 2.6 to 2.13). The logger objects'
own `handle` and `isEnabledFor` are replaced, which survives user code that reconfigures logging. The hook runs inside
Dynamo's reporting frame, so the live exception and the traced instruction are read from the stack; the record's
text serves where that yields nothing.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from graphfix.message import parse, reason_of, registry_ids, skips_frame

LOGGERS = tuple(f"torch._dynamo.{module}.__graph_breaks" for module in ("symbolic_convert", "convert_frame", "exc"))


class Collector:
    """Context manager that hands each break to `emit` as plain data (see `_describe`)."""

    def __init__(self, emit: Callable[[dict[str, Any]], None]) -> None:
        self._emit = emit

    def __enter__(self) -> Collector:
        for logger in map(logging.getLogger, LOGGERS):
            logger.handle = self._handle  # type: ignore[method-assign]
            logger.isEnabledFor = lambda level: True  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        for logger in map(logging.getLogger, LOGGERS):
            logger.__dict__.pop("handle", None)
            logger.__dict__.pop("isEnabledFor", None)

    def _handle(self, record: logging.LogRecord) -> None:
        if record.name.startswith("torch._dynamo.exc."):
            return  # announces a break that symbolic_convert logs again
        try:
            self._emit(_describe(record))
        except Exception:  # the user's program must not fail because of its observer
            self._emit({"event": "warning", "text": f"unread graph break: {traceback.format_exc(limit=-3)}"})


def _describe(record: logging.LogRecord) -> dict[str, Any]:
    """The break as plain data; columns are UTF-8 bytes as Python counts them, None where unknown."""
    error, stack, positions = _introspect(record.pathname)
    text = record.getMessage()
    messages = parse(getattr(error, "msg", None) or reason_of(text), registry_ids())
    frames = [_frame(entry, positions) for entry in getattr(error, "real_stack", None) or stack or ()]
    if not frames and (place := re.search(r"in user code at (.*?):(\d+)", text)):
        frames = [{"path": place[1], "line": int(place[2]), "function": "?"}]
    return {
        "event": "break",
        "id": messages[0].id,
        "type": messages[0].type,
        "explanation": messages[0].explanation,
        "hints": messages[0].hints,
        "consequences": [message.id or message.type for message in messages[1:]],
        "hides_rest": record.name.startswith("torch._dynamo.convert_frame") or skips_frame(text),
        "stack": frames,
    }


def _frame(entry: traceback.FrameSummary, positions: dict[tuple[str, int], Any]) -> dict[str, Any]:
    line = entry.lineno or 0
    found = positions.get((entry.filename, line))
    column, end_column = getattr(entry, "colno", None), getattr(entry, "end_colno", None)
    end_line = getattr(entry, "end_lineno", None)
    if column is None and found is not None:  # torch 2.11 leaves the columns of its stacks empty
        column, end_column, end_line = found.col_offset, found.end_col_offset, found.end_lineno
    return {
        "path": entry.filename,
        "line": line,
        "function": entry.name,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    }


def _introspect(reporter: str) -> tuple[BaseException | None, Any, dict[tuple[str, int], Any]]:
    """The live exception, the user stack and the positions of the instructions being traced."""
    error: BaseException | None = None
    stack = None
    positions: dict[tuple[str, int], Any] = {}

    def note(local: dict[str, Any]) -> None:
        instruction, translator = local.get("inst"), local.get("self")
        if getattr(instruction, "positions", None) is not None and hasattr(translator, "f_code"):
            positions[(translator.f_code.co_filename, instruction.positions.lineno)] = instruction.positions  # type: ignore[union-attr]

    for frame in _reporting_frames(reporter):
        local = frame.f_locals
        error = error or next((local[k] for k in ("exc", "excp", "e") if isinstance(local.get(k), BaseException)), None)
        stack = stack or local.get("user_stack")
        note(local)
    error = error or sys.exc_info()[1]  # 2.6 to 2.8: only in flight
    if not isinstance(getattr(error, "msg", None), str):
        error = None  # some other exception of the user's
    trace = getattr(error, "__traceback__", None)
    while trace is not None:
        note(trace.tb_frame.f_locals)
        trace = trace.tb_next
    return error, stack, positions


def _reporting_frames(reporter: str, depth: int = 4) -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code.co_filename != reporter:
        frame = frame.f_back
    while frame is not None and depth:
        yield frame
        frame, depth = frame.f_back, depth - 1
