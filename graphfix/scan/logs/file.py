"""Opens what `--trace` names: a log, plain or gzipped, or a folder of TORCH_TRACE files."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from graphfix.errors import UsageError
from graphfix.scan.logs.torch_trace import is_structured

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_FIRST_LINES = 20


@dataclass(frozen=True, slots=True)
class Log:
    """A log to read once; `structured` if it is a file of TORCH_TRACE."""

    lines: Iterator[str]
    structured: bool


def logs(path: Path) -> Iterator[Log]:
    """The logs that `path` names. Raises UsageError where there is nothing to read."""
    if not path.is_dir():
        yield _open(path)
        return
    found = False
    for file in sorted(path.rglob("*")):
        log = _structured(file) if file.is_file() else None
        if log:
            found = True
            yield log
    if not found:
        raise UsageError(
            f"{path} holds no file of TORCH_TRACE (dedicated_log_torch_trace_*.log); "
            "name the folder that TORCH_TRACE was set to, or a text log itself."
        )


def _structured(path: Path) -> Log | None:
    try:
        log = _open(path)
    except UsageError:
        return None
    return log if log.structured else None


def _open(path: Path) -> Log:
    try:
        stream = path.open("rb")
        if stream.peek(2).startswith(b"\x1f\x8b"):
            stream = io.BufferedReader(gzip.GzipFile(fileobj=stream))
        head = stream.peek()
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path} cannot be read: {reason}; name a log or a folder of TORCH_TRACE.") from None
    if not head:
        raise UsageError(f"{path} is empty; name a log of TORCH_LOGS=graph_breaks or a folder of TORCH_TRACE.")
    encoding = "utf-16" if head.startswith(_UTF16) else "utf-8"
    if b"\0" in head and encoding == "utf-8":
        raise UsageError(f"{path} is not text; name a log of TORCH_LOGS=graph_breaks or a folder of TORCH_TRACE.")
    first = head.decode(encoding, errors="replace").splitlines()[:_FIRST_LINES]
    lines = _lines(io.TextIOWrapper(stream, encoding, errors="replace"))
    return Log(lines, any(map(is_structured, first)))


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    """Lines until the end, or until where a gzipped file was cut off."""
    with text:
        try:
            yield from text
        except (OSError, EOFError, zlib.error):
            return
