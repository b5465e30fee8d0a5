"""What Dynamo tells beside graph breaks: recompiles and frames it skips."""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType, ModuleType
from typing import Any

import torch._dynamo

_SKIPPED = re.compile(r"skipping: (?P<function>\S+) \(reason: (?P<reason>.*), file: (?P<path>.*)\)", re.DOTALL)
_ORDINARY = ("no tensor-related objects", "in the Dynamo skipfiles list", "in skipfiles", "No ops traced")


@contextlib.contextmanager
def watch_skips(emit: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """Emit the frames that Dynamo skips in silence (a debug message of `convert_frame`, seen on torch 2.13)."""
    logger = logging.getLogger("torch._dynamo.convert_frame")

    def handle(record: logging.LogRecord) -> None:
        if str(record.msg).startswith("skipping: "):
            found = _SKIPPED.match(record.getMessage())
            if found and not any(part in found["reason"] for part in _ORDINARY):
                reason = found["reason"].splitlines()[0]
                emit(
                    {
                        "event": "skipped_frame",
                        "line": _first_line(found["path"]),
                        **found.groupdict(),
                        "reason": reason,
                    }
                )
        if logging.Logger.isEnabledFor(logger, record.levelno):
            logging.Logger.handle(logger, record)

    logger.handle = handle  # type: ignore[method-assign]
    logger.isEnabledFor = lambda level: True  # type: ignore[method-assign]
    try:
        yield
    finally:
        logger.__dict__.pop("handle", None)
        logger.__dict__.pop("isEnabledFor", None)


def _first_line(path: str) -> int:
    """Where the function begins whose skipping is being reported: its frame is a local of the reporter (0: unknown)."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        code = getattr(frame.f_locals.get("frame"), "f_code", None)
        if isinstance(code, CodeType) and code.co_filename == path:
            return code.co_firstlineno
        frame = frame.f_back
    return 0


def clear_recompiles() -> None:
    """Forget the recompilations so far, and keep all of those to come (torch keeps the last 64)."""
    torch._dynamo.utils.set_compilation_metrics_limit(100_000)
    torch._dynamo.utils.clear_compilation_metrics()


def recompiles() -> list[dict[str, Any]]:
    """Each recompilation since the metrics were cleared: the function, its place and the guard that failed.

    `detail` is the guard as torch prints it, `at` the file and line that made it, as far as torch names them. Dynamo
    leaves the function out where the recompile limit kept it from compiling (`limit`).
    """
    return [
        {
            "event": "recompile",
            "function": metric.co_name or _user_frame(reason).get("function", "?"),
            "path": metric.co_filename or _user_frame(reason).get("path"),
            "line": metric.co_firstlineno or int(_user_frame(reason).get("line", 0)) or None,
            "reason": re.sub(r"^\d+/\d+: ", "", reason.splitlines()[0].split("  # ")[0].strip()),
            "detail": reason.splitlines()[0].strip(),
            "at": _made_at(reason.splitlines()[0]),
            "limit": metric.co_name is None,
        }
        for metric in torch._dynamo.utils.get_compilation_metrics()
        if (reason := getattr(metric, "recompile_reason", None))
    ]


def _made_at(guard: str) -> list[Any] | None:
    """File and line of a guard such as `i == 4  # x[:, i]  # src/model.py:14 in forward`: torch cuts the path short."""
    if (found := re.search(r"  # (?P<end>[^\s#]+\.py):(?P<line>\d+) in ", guard)) is None:
        return None
    # what a module holds, not its attributes: asked for one, a lazy module may import more, or fail
    files = {str(vars(one).get("__file__")) for one in list(sys.modules.values()) if isinstance(one, ModuleType)}
    named = [path for path in files if path.endswith(found["end"])]
    return [named[0], int(found["line"])] if len(named) == 1 else None


def _user_frame(reason: str) -> dict[str, str]:
    found = re.search(r'File "(?P<path>[^"]+)", line (?P<line>\d+), in (?P<function>.+)', reason)
    return found.groupdict() if found else {}
