"""Watches the user's own program to its end, leaving its output, exit code, signals and children to itself."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from graphfix.model import Status
from graphfix.scan.bystander import FATAL, Bystander
from graphfix.scan.launch import Program, events_in, launch
from graphfix.scan.observation import Observation
from graphfix.scan.process import Ending

Tell = Callable[[Observation], None]
"""Called with what was seen so far."""


def watch(program: Program, overlay: Mapping[str, str], scope: tuple[str, ...], tell: Tell) -> int:
    """Run the program to its end; returns its exit code (128 + n where signal n ended it).

    `tell` is called at the end, and whenever this process gets SIGUSR1. Signals that would end this process are the
    program's: they are passed on where it did not get them as well, and what was seen is told however it ends. They
    never end this process: impatience at the terminal must lose neither the report nor the exit code.
    """
    start = time.monotonic()
    inbox = _inbox()
    with tempfile.TemporaryDirectory(prefix="graphfix-", ignore_cleanup_errors=True) as folder:

        def seen() -> Observation:
            ending = Ending(Status.OK, None, time.monotonic() - start)
            return _read(events_in(Path(folder)), Observation(scope, ending))

        bystander = Bystander(program.words)
        try:
            process = launch(program, overlay, Path(folder))
            code = _attend(process, program.name, inbox, bystander, lambda: tell(seen()))
        finally:
            bystander.end()
        tell(seen())
    for number in FATAL:  # Python takes its handlers away as it ends, but leaves what is ignored
        signal.signal(number, signal.SIG_IGN)
    return code if code >= 0 else 128 - code


def _attend(
    process: subprocess.Popen[bytes], name: str, inbox: int, bystander: Bystander, tell: Callable[[], None]
) -> int:
    """Wait for the program, and answer the signals that come meanwhile; returns the code it ended with."""
    if sys.stderr.isatty():
        _say(f"watching {name}; `kill -USR1 {os.getpid()}` reports so far")
    while (code := process.poll()) is None:
        for number in os.read(inbox, 64):  # returns once a signal came, the program's end among them
            if number == signal.SIGUSR1:
                _tell_and_go_on(tell)
            elif number in FATAL and not bystander.got(number):
                process.send_signal(number)
    return code


def _inbox() -> int:
    """A pipe from which the numbers of the signals are read that this process gets; none ends it from now on.

    Handlers, unlike ignored signals, are not inherited: the program starts with the dispositions that graphfix was
    started with, what `nohup` ignores included.
    """
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGUSR1, *FATAL):
        if number not in FATAL or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, frame: None)
    return read


def _read(events: Path, seen: Observation) -> Observation:
    seen.add({"event": "explained"})  # all graphs count, not those of a target's first call alone
    for line in events.read_bytes().splitlines():
        with contextlib.suppress(ValueError):  # cut short by the program's sudden end
            seen.add(json.loads(line))
    return seen


def _tell_and_go_on(tell: Callable[[], None]) -> None:
    """The program goes on, and so does its watching, whatever becomes of a report on the way."""
    try:
        tell()
    except Exception as error:
        _say(f"no report this time: {error}")


def _say(sentence: str) -> None:
    with contextlib.suppress(OSError):
        sys.stderr.write(f"graphfix: {sentence}\n")
        sys.stderr.flush()
