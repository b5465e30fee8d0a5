"""Streams the graphs, breaks, errors, recompiles and skipped frames of every torch.compile in this process."""

from __future__ import annotations

import contextlib
import functools
import logging
import platform
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch._dynamo
from torch._dynamo import convert_frame
from torch._dynamo.exc import ObservedException, RestartAnalysis, SkipFrame, Unsupported, UserError
from torch._dynamo.output_graph import OutputGraph

from graphfix.dynamo import signals
from graphfix.dynamo.capture import graph_event
from graphfix.dynamo.collector import LOGGERS, Collector, describe
from graphfix.dynamo.failures import compiler_failure

Emit = Callable[[dict[str, Any]], None]

_CONTROL = (ObservedException, RestartAnalysis, SkipFrame)
"""Exceptions by which Dynamo steers itself."""


def observe(emit: Emit) -> contextlib.ExitStack:
    """Tell `emit` of all that Dynamo does from now on, until the stack that is returned is closed or collected."""
    stack = contextlib.ExitStack()
    stack.enter_context(Collector(emit))
    stack.enter_context(signals.watch_skips(emit))
    _tell_versions(emit, "cpu")
    for watch in (_watch_graphs, _watch_errors, _watch_recompiles):
        with _harmless(emit):  # a torch without one of them still tells the rest
            watch(emit)
    return stack


def _tell_versions(emit: Emit, device: str) -> None:
    emit({"event": "versions", "python": platform.python_version(), "torch": torch.__version__, "device": device})


def _watch_graphs(emit: Emit) -> None:
    """Emit every graph that Dynamo hands to a backend (`call_user_compiler`, seen on torch 2.13)."""
    original = OutputGraph.call_user_compiler
    devices = {"cpu"}

    @functools.wraps(original)
    def call_user_compiler(self: Any, module: Any, *args: Any, **kwargs: Any) -> Any:
        with _harmless(emit):
            if "cuda" not in devices and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
                devices.add("cuda")
                _tell_versions(emit, "cuda")
            emit(graph_event(module))
        return original(self, module, *args, **kwargs)

    OutputGraph.call_user_compiler = call_user_compiler  # type: ignore[method-assign, assignment]


def _watch_errors(emit: Emit) -> None:
    """Emit the breaks that `fullgraph=True` turns into errors, and the errors of the compiler itself.

    Dynamo logs neither (`exception_handler` of `convert_frame`, called from `_compile`, seen on torch 2.13).
    """
    original = convert_frame.exception_handler

    @functools.wraps(original)
    def exception_handler(error: Exception, *args: Any, **kwargs: Any) -> None:
        original(error, *args, **kwargs)
        with _harmless(emit):
            if isinstance(error, (Unsupported, UserError)):
                if sys._getframe(1).f_locals.get("one_graph"):
                    place = convert_frame.__file__
                    emit(describe(logging.LogRecord(LOGGERS[1], logging.DEBUG, place, 0, str(error), None, None)))
            elif not isinstance(error, _CONTROL) and (event := compiler_failure(error)):
                emit(event)

    convert_frame.exception_handler = exception_handler  # type: ignore[assignment]


def _watch_recompiles(emit: Emit) -> None:
    """Emit a recompilation when Dynamo has recorded its metrics (`record_compilation_metrics`, seen on torch 2.13)."""
    original = torch._dynamo.utils.record_compilation_metrics
    told = 0

    @functools.wraps(original)
    def record_compilation_metrics(*args: Any, **kwargs: Any) -> None:
        nonlocal told
        original(*args, **kwargs)
        with _harmless(emit):
            found = signals.recompiles()
            told = min(told, len(found))  # the program may clear the metrics itself
            for event in found[told:]:
                emit(event)
            told = len(found)

    signals.clear_recompiles()
    torch._dynamo.utils.record_compilation_metrics = record_compilation_metrics


@contextlib.contextmanager
def _harmless(emit: Emit) -> Iterator[None]:
    """Keep the observer's own failures from the program."""
    try:
        yield
    except Exception:
        emit({"event": "warning", "text": f"not observed: {traceback.format_exc(limit=-3)}"})
