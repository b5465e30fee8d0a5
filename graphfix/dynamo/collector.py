"""Collects every graph break that Dynamo reports, with the exact instruction it happened at.

Every break passes the `graph_breaks` loggers of three Dynamo modules (torch 2.6 to 2.13). The logger objects'
own `handle` and `isEnabledFor` are replaced, which survives user code that reconfigures logging. The hook runs inside
Dynamo's reporting frame, so the live exception and the traced instruction are read from the stack; the record's
text serves where that yields nothing.
"""

from __future__ import annotations

import functools
import logging
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any

from torch._dynamo.symbolic_convert import InstructionTranslatorBase

from graphfix.dynamo.lines import right_lines
from graphfix.message import parse, reason_of, registry_ids, skips_frame
from graphfix.printed import frames_in

LOGGERS = tuple(f"torch._dynamo.{module}.__graph_breaks" for module in ("symbolic_convert", "convert_frame", "exc"))


class Collector:
    """Context manager that hands each break to `emit` as plain data (see `describe`).

    `forward`: what the user asked to be logged is logged as well.
    """

    def __init__(self, emit: Callable[[dict[str, Any]], None], forward: bool = True) -> None:
        self._emit, self._forward = emit, forward
        self._lines = right_lines()

    def __enter__(self) -> Collector:
        self._lines.__enter__()
        for logger in map(logging.getLogger, LOGGERS):
            logger.handle = functools.partial(self._handle, logger)  # type: ignore[method-assign]
            logger.isEnabledFor = lambda level: True  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.__exit__(None, None, None)
        for logger in map(logging.getLogger, LOGGERS):
            logger.__dict__.pop("handle", None)
            logger.__dict__.pop("isEnabledFor", None)

    def _handle(self, logger: logging.Logger, record: logging.LogRecord) -> None:
        if self._forward and logging.Logger.isEnabledFor(logger, record.levelno):
            logging.Logger.handle(logger, record)
        if record.name.startswith("torch._dynamo.exc."):
            return  # announces a break that symbolic_convert logs again
        try:
            self._emit(describe(record))
        except Exception:  # the user's program must not fail because of its observer
            self._emit({"event": "warning", "text": f"unread graph break: {traceback.format_exc(limit=-3)}"})


def describe(record: logging.LogRecord) -> dict[str, Any]:
    """The break as plain data; columns are UTF-8 bytes as Python counts them, None where unknown.

    `at` is the place that Dynamo itself prints (see `place_of`).
    """
    text = record.getMessage()
    seen = _introspect(record.pathname)
    messages = parse(getattr(seen.error, "msg", None) or reason_of(text), registry_ids())
    printed = list(getattr(seen.error, "real_stack", None) or seen.stack or ())
    backend = getattr(seen.error, "msg", "").partition("Original traceback:")[2].partition("\n\n")[0]
    frames = list(frames_in(backend))  # of the op that a backend failed on, after all of the frame was traced
    if not frames:
        frames = seen.frames() if len(seen.traced) >= len(printed) else [seen.frame(entry) for entry in printed]
    if not frames and (place := re.search(r"in user code at (.*?):(\d+)", text)):
        frames = [{"path": place[1], "line": int(place[2]), "function": "?", **_NOWHERE}]
    return {
        "event": "break",
        "id": messages[0].id,
        "type": messages[0].type,
        "explanation": messages[0].explanation,
        "hints": messages[0].hints,
        "consequences": [message.id or message.type for message in messages[1:]],
        "hides_rest": record.name.startswith("torch._dynamo.convert_frame") or skips_frame(text),
        "stack": frames,
        "at": place_of(printed),
    }


def place_of(stack: Sequence[traceback.FrameSummary]) -> list[Any] | None:
    """Where torch's own user stack ends, as [path, line, column in bytes or None]; None for an empty one."""
    return [stack[-1].filename, stack[-1].lineno, getattr(stack[-1], "colno", None)] if stack else None


_NOWHERE = {"column": None, "end_line": None, "end_column": None}


@dataclass
class _Reported:
    """What the stack below the report holds: the live exception, its user stack, and what was being traced.

    `traced` maps Dynamo's translators, the outermost first, to the code and the positions each one is at. They know
    generator frames and end lines, which torch's own stack leaves out.
    """

    error: BaseException | None = None
    stack: Sequence[traceback.FrameSummary] | None = None
    traced: dict[int, tuple[CodeType, Any]] = field(default_factory=dict)

    def note(self, local: dict[str, Any]) -> None:
        instruction, translator = local.get("inst"), local.get("self")
        if not isinstance(translator, InstructionTranslatorBase):  # to ask another variable would have it realized
            return
        positions = getattr(instruction, "positions", None)
        if positions is not None and positions.lineno is not None:
            self.traced[id(translator)] = (translator.f_code, positions)

    def frames(self) -> list[dict[str, Any]]:
        """The user stack as it was traced."""
        return [
            {"path": code.co_filename, "line": at.lineno, "function": code.co_name, **_columns(at)}
            for code, at in self.traced.values()
        ]

    def frame(self, entry: traceback.FrameSummary) -> dict[str, Any]:
        """One entry of torch's user stack; torch 2.11 leaves the columns of its stacks empty."""
        column, end_column = getattr(entry, "colno", None), getattr(entry, "end_colno", None)
        columns = {"column": column, "end_line": getattr(entry, "end_lineno", None), "end_column": end_column}
        if column is None:
            here = [at for code, at in self.traced.values() if (code.co_filename, at.lineno) == _line(entry)]
            columns = _columns(here[-1]) if here else _NOWHERE
        return {"path": entry.filename, "line": entry.lineno or 0, "function": entry.name, **columns}


def _columns(positions: Any) -> dict[str, int | None]:
    return {
        "column": positions.col_offset,
        "end_line": positions.end_lineno,
        "end_column": positions.end_col_offset,
    }


def _line(entry: traceback.FrameSummary) -> tuple[str, int | None]:
    return entry.filename, entry.lineno


def _introspect(reporter: str) -> _Reported:
    """Read the stack from Dynamo's reporting frame (its file is `reporter`) on."""
    found = _Reported()
    for frame in _reporting_frames(reporter):
        local = frame.f_locals
        errors = (local[name] for name in ("exc", "excp", "e") if isinstance(local.get(name), BaseException))
        found.error = found.error or next(errors, None)
        found.stack = found.stack or local.get("user_stack")
        found.note(local)
    found.error = found.error or sys.exc_info()[1]  # 2.6 to 2.8: only in flight
    if not isinstance(getattr(found.error, "msg", None), str):
        found.error = None  # some other exception of the user's
    trace = getattr(found.error, "__traceback__", None)
    while trace is not None:
        found.note(trace.tb_frame.f_locals)
        trace = trace.tb_next
    return found


def _reporting_frames(reporter: str, depth: int = 4) -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code.co_filename != reporter:
        frame = frame.f_back
    while frame is not None and depth:
        yield frame
        frame, depth = frame.f_back, depth - 1
