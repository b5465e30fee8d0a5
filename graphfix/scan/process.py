"""Starts a worker process, reads its events as they come, and ends it whatever it does."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from graphfix.model import Status
from graphfix.scan.forking import end_server, fork

Event = Mapping[str, Any]

_BOOT = "import sys; sys.path.append(sys.argv[5]); from graphfix.dynamo.worker import main; \
main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])"

_LIVE: set[_Worker] = set()


@dataclass(frozen=True, slots=True)
class Ending:
    """How a worker ended: `error` says what happened, with the stack it hung in or its last words."""

    status: Status
    error: str | None
    seconds: float


def run_jobs(jobs: Sequence[Mapping[str, Any]], timeout: float, on_event: Callable[[Event], None]) -> Ending:
    """Run the jobs in one fresh process; every event reaches `on_event` as soon as it is written.

    The process leads its own group, which is ended whole: on timeout (seconds, after a stack dump), on Ctrl-C, and
    when this process dies. After an event with `"waits": true` the worker's time stands still until its next event.
    """
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="graphfix-") as folder:
        worker = _Worker(jobs, Path(folder))
        try:
            stage = worker.listen(start + timeout, on_event)
            if stage is None:
                return Ending(Status.OK, None, time.monotonic() - start)
            if worker.timed_out:
                error = f"timed out after {timeout:g} s while {stage}; it hung here:\n{worker.dump()}"
                return Ending(Status.TIMEOUT, error, time.monotonic() - start)
            error = f"{worker.death()} while {stage}.{worker.last_words()}"
            return Ending(Status.CRASH, error, time.monotonic() - start)
        finally:
            worker.end()


def end_all() -> None:
    """End the workers that other threads still listen to, or wait for, so that those threads return."""
    _Worker.endings += 1
    end_server()
    for worker in list(_LIVE):
        worker.kill()


class _Worker:
    endings: ClassVar[int] = 0
    """How often all workers were ended: one that was on the way then must not run."""

    def __init__(self, jobs: Sequence[Mapping[str, Any]], folder: Path) -> None:
        endings = self.endings
        self.timed_out, self._jobs = False, len(jobs)
        self._dump, self._log = folder / "dump.txt", folder / "log.txt"
        job_file = folder / "jobs.json"
        job_file.write_text(json.dumps(list(jobs)), encoding="utf-8")
        self._events, event_write = os.pipe()
        life_read, self._life = os.pipe()
        package_home = str(Path(__file__).resolve().parent.parent.parent)
        files = (event_write, life_read)
        alone = any(job.get("environment") for job in jobs)  # these are set before torch is imported
        with self._log.open("wb") as log:
            forked = None if alone else fork(str(job_file), str(self._dump), (log.fileno(), *files), package_home)
            self._process = forked or subprocess.Popen(
                [sys.executable, "-c", _BOOT, str(job_file), *map(str, files), str(self._dump), package_home],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=files,
                start_new_session=True,
            )
        os.close(event_write)
        os.close(life_read)
        _LIVE.add(self)
        if self.endings != endings:
            self.kill()

    def listen(self, deadline: float, on_event: Callable[[Event], None]) -> str | None:
        """Read events until the worker is done (None) or gone or too late (the stage it was in)."""
        stage, running = "starting", self._jobs
        for event in self._lines(deadline):
            on_event(event)
            if event["event"] == "stage":
                stage = event["text"]
            elif event["event"] == "done" and (running := running - 1) == 0:
                return None
        if not self.timed_out:
            self._process.wait()
        return stage

    def _lines(self, deadline: float) -> Iterator[Event]:
        pending, waits_since = b"", None
        with selectors.DefaultSelector() as selector:
            selector.register(self._events, selectors.EVENT_READ)
            while True:
                if not selector.select(None if waits_since else max(0.0, deadline - time.monotonic())):
                    self.timed_out = True
                    return
                if waits_since:
                    deadline += time.monotonic() - waits_since
                    waits_since = None
                chunk = os.read(self._events, 1 << 16)
                if not chunk:
                    return
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines:
                    with contextlib.suppress(ValueError):  # a line that a dying process cut short
                        event = json.loads(line)
                        waits_since = time.monotonic() if event.get("waits") else None
                        yield event

    def dump(self) -> str:
        """The Python stacks of the hanging process."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGUSR1)
        for _ in range(20):
            time.sleep(0.1)
            if self._dump.exists() and self._dump.stat().st_size:
                threads = self._dump.read_text(encoding="utf-8", errors="replace").strip().split("\n\n")
                return "\n\n".join(thread for thread in threads if "_die_with_parent" not in thread)
        return "(no stack could be had)"

    def death(self) -> str:
        code = self._process.returncode
        if code < 0:
            name = signal.Signals(-code).name
            memory = " (out of memory?)" if name == "SIGKILL" else ""
            return f"the worker process was killed by {name}{memory}"
        return f"the worker process ended with exit code {code}"

    def last_words(self, count: int = 6) -> str:
        log = self._log.read_text(encoding="utf-8", errors="replace").strip()
        _, fatal, stack = log.partition("Fatal Python error")
        stack = stack.partition("Current thread")[2].partition("\n")[2]
        lines = stack.splitlines()[:count] if fatal else log.splitlines()[-count:]
        return "".join(f"\n  {line}" for line in lines)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> None:
        _LIVE.discard(self)
        self.kill()
        self._process.wait()
        os.close(self._events)
        os.close(self._life)
