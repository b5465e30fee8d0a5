"""One apply or undo at a time in a project."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from graphfix.errors import WriteError

_PATIENCE = 1.0
"""Seconds to wait: what a killed apply has left to finish takes some milliseconds, a proof takes minutes."""


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold the lock for the length of the block; it ends with the process too, so none is ever stale.

    Raises WriteError where another process holds it, OSError where the file cannot be locked.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        until = time.monotonic() + _PATIENCE
        while not _taken(descriptor):
            if time.monotonic() > until:
                raise WriteError(f"another graphfix works on {file.parent.parent}; wait until it is done.")
            time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)  # and no LOCK_UN: a forked process that still holds it keeps it


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
