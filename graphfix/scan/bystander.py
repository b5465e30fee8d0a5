"""Tells a signal that was meant for one process from one that its whole process group got.

Ctrl-C, `kill %1` and `timeout` signal a group, so that the user's program got the signal as well; `kill PID` reaches
graphfix alone, which then has to pass it on. The system does not say which it was. A process of the same group that
does nothing does: it got the signal, or it did not.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence

FATAL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR2)
"""The signals that a program ends by, or handles, and that graphfix itself must outlive."""

_CODE = f"""
import os, signal
signal.signal({int(signal.SIGUSR1)}, signal.SIG_IGN)
for number in {[int(number) for number in FATAL]}:
    signal.signal(number, lambda number, frame: None)
os.set_blocking(1, False)
signal.set_wakeup_fd(1)
os.write(1, b"0")
os.read(0, 1)
"""
"""Writes the number of each signal that it gets, after a byte that says it is ready; ends when its input does."""

_PATIENCE = 0.25


class Bystander:
    """A process that says which signals it gets, and ends with this one.

    It has the program's words as arguments, so that `pkill` by the program's name finds it too, as it finds that.
    """

    def __init__(self, words: Sequence[str]) -> None:
        command = [sys.executable, "-IS", "-c", _CODE, *words]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
        assert self._process.stdout is not None
        self._told = self._process.stdout.fileno()
        self._got: Counter[int] = Counter()
        os.read(self._told, 1)

    def got(self, number: int) -> bool:
        """Whether the signal that this process just got went to others as well; waits a moment to see."""
        deadline = time.monotonic() + _PATIENCE
        while not self._got[number]:
            ready, _, _ = select.select([self._told], [], [], max(0.0, deadline - time.monotonic()))
            told = os.read(self._told, 64) if ready else b""
            if not told:
                return False
            self._got.update(told)
        self._got[number] -= 1
        return True

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()
