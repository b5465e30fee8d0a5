"""Says on stderr what is being done: one live line in a terminal, a plain line a step elsewhere."""

from __future__ import annotations

import shutil
import sys
import threading
import time

_MINOR = ("importing", "building", "warming")
"""Steps too short for a line of their own in a log."""


class Progress:
    """Callable with a target's name and its step; a context manager that clears its line."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._start = time.monotonic()
        self._lock = threading.Lock()
        self._last = ""

    def __call__(self, name: str, step: str) -> None:
        text = f"{name}: {step}"
        with self._lock:
            if text == self._last or (not self._live and step.startswith(_MINOR)):
                return
            self._last = text
            seconds = time.monotonic() - self._start
            line = f"[{seconds:5.0f} s] {text}"
            if self._live:
                sys.stderr.write(f"\r\x1b[2K{line[: _columns() - 1]}")
            else:
                sys.stderr.write(line + "\n")
            sys.stderr.flush()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Leave a clean line behind, and say so where Ctrl-C ended the work."""
        if self._live and self._last:
            sys.stderr.write("\r\x1b[2K")
        if kind is KeyboardInterrupt:
            sys.stderr.write("graphfix: interrupted; nothing was written.\n")
        sys.stderr.flush()


def _columns() -> int:
    return shutil.get_terminal_size((80, 24)).columns
