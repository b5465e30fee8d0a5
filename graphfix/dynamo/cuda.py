"""What CUDA graphs leave out, and where the host waits for the device."""

from __future__ import annotations

import contextlib
import linecache
import logging
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import torch
from torch._dynamo.utils import counters

from graphfix.printed import frames_in

Emit = Callable[[dict[str, Any]], None]

_LOGGERS = tuple(f"torch._inductor.{module}.__cudagraphs" for module in ("cudagraph_utils", "scheduler"))
_SKIPPED = re.compile(r"skipping cudagraphs due to (?P<reason>.*)", re.DOTALL)
_LEFT_OUT = re.compile(r"\s+\S+: reason=(?P<reason>[^,]+)")
_OWN = tuple(f"{folder}/" for folder in (*torch.__path__, __file__.rpartition("/")[0]))


@contextlib.contextmanager
def watch_cudagraphs(emit: Emit) -> Iterator[None]:
    """Emit each region that runs without a CUDA graph, with the reason; in the end, how many partitions were made.

    Reads the `cudagraphs` log of Inductor (torch 2.11 to 2.13); a skip that it counts and does not log is told too.
    """
    log = _Log()
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = dict(counters["inductor"])
    for logger in loggers:
        logger.handle = log.handle  # type: ignore[method-assign]
        logger.isEnabledFor = lambda level: True  # type: ignore[method-assign]
    try:
        yield
    finally:
        for logger in loggers:
            logger.__dict__.pop("handle", None)
            logger.__dict__.pop("isEnabledFor", None)
        made = {name: count - before.get(name, 0) for name, count in counters["inductor"].items()}
        for _ in range(made.get("cudagraph_skips", 0) - log.skips):
            log.found.append({"reason": "Inductor gave no reason", "path": None, "line": None})
        for skip in log.found:
            emit({"event": "cudagraph_skip", **skip})
        emit({"event": "cudagraph_partitions", "count": made.get("cudagraph_partitions", 0)})


class _Log:
    """The log's messages as skips. A partition that is left out is told over several: the reason, then the stack."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []
        self.skips = 0

    def handle(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if skip := _SKIPPED.match(text):
            self.skips += 1
            self._add(re.split(r"\.? Found from", skip["reason"])[0].splitlines()[0])
            self._place(text)
        elif left_out := _LEFT_OUT.match(text):
            self._add(f"left out of the graph: {left_out['reason'].strip()}")
        elif self.found:
            self._place(text)

    def _add(self, reason: str) -> None:
        self.found.append({"reason": reason, "path": None, "line": None})

    def _place(self, text: str) -> None:
        for frame in frames_in(text):
            self.found[-1].update(path=frame["path"], line=frame["line"])


@contextlib.contextmanager
def watch_syncs(emit: Emit) -> Iterator[None]:
    """Emit each place where the host waits for the device: the innermost line outside torch, and its text."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        if "synchronizing CUDA operation" in str(message) and (frame := _calling_frame()) is not None:
            path, line = frame.f_code.co_filename, frame.f_lineno
            op = linecache.getline(path, line).strip() or "?"
            emit({"event": "sync", "path": path, "line": line, "op": op})

    mode = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = show
            yield
    finally:
        torch.cuda.set_sync_debug_mode(mode)


def _calling_frame() -> FrameType | None:
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code.co_filename.startswith((*_OWN, "<", warnings.__file__)):
        frame = frame.f_back
    return frame
