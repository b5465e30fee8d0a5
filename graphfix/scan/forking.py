"""Workers forked from a process that has imported torch: importing it takes longer than most jobs on small targets."""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import re
import selectors
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TextIO

_BOOT = (
    "import sys; sys.path.append(sys.argv[1]); from graphfix.dynamo.forkserver import serve; serve(int(sys.argv[2]))"
)
_PATIENCE = 60.0
"""Seconds in which torch is imported; else a worker is started the plain way, and tells where it hangs."""


class Forked:
    """A worker, as far as `subprocess.Popen` has the same."""

    def __init__(self, pid: int, told: TextIO) -> None:
        self.pid, self.returncode = pid, 0
        self._told = told

    def wait(self) -> int:
        """Wait for its end; returns the exit code, or -n where signal n ended it."""
        if not self._told.closed:
            with self._told:
                self.returncode = int(self._told.readline() or -9)
        return self.returncode


class _Server:
    """The process that forks; it ends when this one does."""

    def __init__(self, package_home: str) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _BOOT, package_home, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )

    def fork(self, arguments: Sequence[str], files: Sequence[int]) -> Forked | None:
        """A worker, None where this process is gone or takes too long."""
        read, write = os.pipe()
        told = os.fdopen(read, encoding="utf-8")
        try:
            socket.send_fds(self._requests, [json.dumps(arguments).encode()], [*files, write])
        except OSError:
            pass
        finally:
            os.close(write)
        with selectors.DefaultSelector() as selector:
            selector.register(read, selectors.EVENT_READ)
            pid = told.readline() if selector.select(_PATIENCE) else ""
        if pid:
            return Forked(int(pid), told)
        told.close()
        return None

    def end(self) -> None:
        """End this process; workers that it forked go on."""
        self._requests.close()
        self._process.kill()
        self._process.wait()


_servers: dict[object, _Server] = {}
_lock = threading.Lock()


@atexit.register
def end_server() -> None:
    """End the process that forks; who waits for a worker of it gets none."""
    while _servers:
        _servers.popitem()[1].end()


def fork(job_file: str, dump_file: str, files: Sequence[int], package_home: str) -> Forked | None:
    """A worker on `job_file` (see `graphfix.dynamo.forkserver`), None where it has to be started the plain way.

    One server is kept: for the environment and the folder that this process has now, as torch was imported in them.
    """
    try:
        key = (os.getcwd(), *sorted(os.environ.items()))
    except FileNotFoundError:
        return None
    if not _is_safe():
        return None
    with _lock:
        if key not in _servers:
            end_server()
            _servers[key] = _Server(package_home)
        server = _servers[key]
    worker = server.fork((job_file, dump_file), files)
    if worker is None:
        with _lock:
            if _servers.pop(key, None) is server:
                server.end()
    return worker


@cache
def _is_safe() -> bool:
    """Whether torch may be imported before a fork: on Linux, in a build for the CPU or for CUDA."""
    found = importlib.util.find_spec("torch") if sys.platform == "linux" else None
    if found is None or found.origin is None:
        return False
    version = Path(found.origin).with_name("version.py")
    text = version.read_text(encoding="utf-8") if version.exists() else ""
    return "cuda: " in text and re.search(r"^(hip|xpu)\b.*= (?!None)", text, re.MULTILINE) is None
