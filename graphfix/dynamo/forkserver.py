"""The process that workers are forked from: it has imported torch already, and runs nothing itself."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from graphfix.dynamo.worker import main

_IMPORTED = ("graphfix.dynamo.session", "torch._inductor.compile_fx")
"""What every worker would import, and, from the second on, what most would. Neither starts a thread, or a process."""
_LONGEST = 1 << 16
_ASKS_NVML = "PYTORCH_NVML_BASED_CUDA_CHECK"
"""Set while torch is imported: who asks then for a GPU does not start CUDA, which no fork of this process could use."""


def serve(requests_fd: int) -> None:
    """Fork a worker for each request until the other side is gone.

    A request is the arguments of `main` as JSON, with four files: the log, both of `main`'s, and where the worker's pid
    is told, and then the code that it ended with (see `subprocess.Popen.returncode`), a line each. Ends where a forked
    process could not use the GPU.
    """
    wanted = [*_IMPORTED]
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait for workers
    requests = socket.socket(fileno=requests_fd)
    while True:
        request, files, *_ = socket.recv_fds(requests, _LONGEST, 4)
        if not request:
            return
        if wanted and not _import(wanted.pop(0)):
            return
        if os.fork() == 0:
            _attend(json.loads(request), files)
        for file in files:
            os.close(file)


def _import(name: str) -> bool:
    """Import a module; whether a process that is forked then can use the GPU, if there is one."""
    asked = os.environ.get(_ASKS_NVML)
    os.environ[_ASKS_NVML] = "1"
    try:
        importlib.import_module(name)
        import torch

        return not torch.cuda.is_available() or _cuda_starts_after_a_fork()
    except Exception:
        return True  # a worker fails at the same import, and says so
    finally:
        if asked is None:
            del os.environ[_ASKS_NVML]
        else:
            os.environ[_ASKS_NVML] = asked


def _cuda_starts_after_a_fork() -> bool:
    import torch

    kept = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            torch.cuda.init()  # type: ignore[no-untyped-call]
            os._exit(0)
        os._exit(1)
    ended_with = os.waitpid(pid, 0)[1]
    signal.signal(signal.SIGCHLD, kept)
    return ended_with == 0


def _attend(arguments: tuple[str, str], files: Sequence[int]) -> NoReturn:
    """Fork the worker, and tell how it ends."""
    *given, told = files
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        pid = os.fork()
        if pid == 0:
            os.close(told)
            _work(arguments, given)
        with contextlib.suppress(OSError):  # both sides ask, so that it leads its group before anybody hears of it
            os.setpgid(pid, pid)
        for file in given:
            os.close(file)
        os.write(told, f"{pid}\n".encode())
        os.write(told, f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n".encode())
    finally:
        os._exit(0)


def _work(arguments: tuple[str, str], given: Sequence[int]) -> NoReturn:
    code = 1
    try:
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)
        log, events, life = given
        os.dup2(log, 1)
        os.dup2(log, 2)
        importlib.invalidate_caches()  # files may be newer than this process's parent
        job_file, dump_file = arguments
        main(job_file, events, life, dump_file)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
