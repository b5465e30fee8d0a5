"""What Dynamo tells beside graph breaks: recompiles and frames it skips."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import torch._dynamo

_SKIPPED = re.compile(r"skipping: (?P<function>\S+) \(reason: (?P<reason>.*), file: (?P<path>.*)\)", re.DOTALL)
_ORDINARY = ("no tensor-related objects", "in the Dynamo skipfiles list", "in skipfiles", "No ops traced")


@contextlib.contextmanager
def watch_skips(emit: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """Emit the frames that Dynamo skips in silence (a debug message of `convert_frame`, seen on torch 2.13)."""
    logger = logging.getLogger("torch._dynamo.convert_frame")
    usual = logger.getEffectiveLevel()

    def handle(record: logging.LogRecord) -> None:
        if str(record.msg).startswith("skipping: "):
            found = _SKIPPED.match(record.getMessage())
            if found and not any(part in found["reason"] for part in _ORDINARY):
                reason = found["reason"].splitlines()[0]
                event = {"event": "skipped_frame", "line": 0, **found.groupdict(), "reason": reason}
                emit(event)
        if record.levelno >= usual:
            logging.Logger.handle(logger, record)

    logger.handle = handle  # type: ignore[method-assign]
    logger.isEnabledFor = lambda level: True  # type: ignore[method-assign]
    try:
        yield
    finally:
        logger.__dict__.pop("handle", None)
        logger.__dict__.pop("isEnabledFor", None)


def recompiles() -> list[dict[str, Any]]:
    """Each recompilation since the metrics were cleared: the function and the guard that failed."""
    return [
        {
            "event": "recompile",
            "function": metric.co_name or "?",
            "reason": reason.splitlines()[0].split("  # ")[0].strip(),
        }
        for metric in torch._dynamo.utils.get_compilation_metrics()
        if (reason := getattr(metric, "recompile_reason", None))
    ]
