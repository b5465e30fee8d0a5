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
from torch._inductor.runtime.cache_dir_utils import cache_dir

from graphfix.printed import frames_in

Emit = Callable[[dict[str, Any]], None]

_LOGGERS = tuple(f"torch._inductor.{module}.__cudagraphs" for module in ("cudagraph_utils", "scheduler"))
_SKIPPED = re.compile(r"skipping cudagraphs due to (?P<reason>.*)", re.DOTALL)
_LEFT_OUT = re.compile(r"\s+\S+: reason=(?P<reason>[^,]+)")
_OWN = (*(f"{folder}/" for folder in (*torch.__path__, __file__.rpartition("/")[0])), "<", warnings.__file__)


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
    """Emit each place where the host waits for the device: the innermost line outside torch, and its text.

    A wait inside a compiled graph is told with the line that calls the graph and the text of the generated code.
    """

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        frames = [frame for frame in _stack() if not frame.f_code.co_filename.startswith(_OWN)]
        user = next((frame for frame in frames if not frame.f_code.co_filename.startswith(generated)), None)
        if "synchronizing CUDA operation" in str(message) and user is not None:
            op = linecache.getline(frames[0].f_code.co_filename, frames[0].f_lineno).strip() or "?"
            inside = "" if frames[0] is user else " (in the compiled graph)"
            emit({"event": "sync", "path": user.f_code.co_filename, "line": user.f_lineno, "op": op + inside})

    generated = cache_dir()
    mode = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = show
            yield
    finally:
        torch.cuda.set_sync_debug_mode(mode)


def _stack() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back
