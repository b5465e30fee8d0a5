"""The worker process: runs jobs on targets and streams what it sees as JSON lines.

A job is one JSON object:
`module` or `path` and `name`: the target function · `overlay`: path → patched text · `device` ·
`explain`: run `torch._dynamo.explain` on the first call · `compile`: backends to compile all calls with, in turn ·
`discover`: where a frame was skipped, look for breaks behind it · `check`: run eager and compare compiled with it ·
`save` / `against`: file to keep the eager results in, or to compare them with bit for bit · `trace`: report which
line followed which while eager ran · `probe`: a function, a branch in it and the file's patched text, to run
on mutated inputs (see `graphfix.dynamo.probe`), or null · `assume`: conditions as [file, line, text], each asked
whenever its line runs in eager · `time`: an arm to time (see `graphfix.dynamo.timing`), or null · `plan`: a search for
regions to compile, or a try of some (see `graphfix.dynamo.planning`), or null · `replay`: a backend and a mode to
run all calls with round after round (on CUDA, or `everywhere`), or null · `environment`: variables to set before torch
is imported.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import platform
import signal
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

Emit = Callable[[dict[str, Any]], None]


def main(job_file: str, event_fd: int, life_fd: int, dump_file: str) -> None:
    """Run the jobs listed in `job_file`; events go to `event_fd`, a stack dump on SIGUSR1 to `dump_file`."""
    events = os.fdopen(event_fd, "w", encoding="utf-8", buffering=1)
    dump = open(dump_file, "w", encoding="utf-8")  # noqa: SIM115 (must outlive everything)
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, file=dump, all_threads=True, chain=False)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
    threading.Thread(target=_die_with_parent, args=(life_fd,), daemon=True).start()
    jobs: list[dict[str, Any]] = json.loads(Path(job_file).read_text(encoding="utf-8"))
    for index, job in enumerate(jobs):
        _run_guarded(job, _emitter(events, index))


def _die_with_parent(life_fd: int) -> None:
    os.read(life_fd, 1)  # the parent never writes: this returns when it is gone
    with contextlib.suppress(ProcessLookupError):
        os.killpg(os.getpgrp(), signal.SIGKILL)


def _emitter(events: TextIO, index: int) -> Emit:
    def emit(event: dict[str, Any]) -> None:
        events.write(json.dumps({"job": index, **event}, default=str) + "\n")

    return emit


def _run_guarded(job: dict[str, Any], emit: Emit) -> None:
    stage = {"text": "importing torch"}

    def enter(text: str) -> None:
        stage["text"] = text
        emit({"event": "stage", "text": text})

    try:
        enter("importing torch")
        _run(job, emit, enter)
    except BaseException as error:  # SystemExit in a target is that target's failure, not the worker's end
        emit(
            {
                "event": "error",
                "stage": stage["text"],
                "kind": type(error).__name__,
                "text": str(error),
                "trace": traceback.format_exc(),
                "frames": [(f.filename, f.lineno, f.name) for f in traceback.extract_tb(error.__traceback__)],
            }
        )
        if isinstance(error, KeyboardInterrupt):
            raise
    emit({"event": "done"})


def _run(job: dict[str, Any], emit: Emit, enter: Callable[[str], None]) -> None:
    from graphfix import hook

    os.environ.update(job["environment"])
    hook.install(job["overlay"])
    if job["check"]:  # cuBLAS gives the same bits in every run with it; read when it starts
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    device = job["device"] or ("cuda" if torch.cuda.is_available() else "cpu")
    gpu = torch.cuda.get_device_name() if device == "cuda" and torch.cuda.is_available() else None
    found = {"python": platform.python_version(), "torch": torch.__version__, "device": device, "gpu": gpu}
    emit({"event": "versions", **found})
    if device == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("this torch sees no CUDA device; use --device cpu or install a CUDA build of torch.")
    os.environ["GRAPHFIX_DEVICE"] = device
    from graphfix.dynamo.session import Session

    Session(job, device, emit, enter).run()
