"""Kills `graphfix apply` at random moments in a git repository, and looks what is left: `python tests/kills.py REPO`.

Every kill is SIGKILL to the whole process group of a complete `graphfix apply .`. Half of them come at a moment drawn
evenly from the time that an apply takes, half within the writing, which is a small part of it: when the journal shows
that it began, plus a moment drawn evenly from a window. That is as long as a write took, then longer after each kill
that came too early to find the new tree and shorter after the others: a busy machine writes slowly. To be quick, most
applies run in a fork of this process, which has imported graphfix already; every twentieth is a Python process of its
own.

After each kill, git must show the old tree or the new one, and after `graphfix undo` the old one, byte for byte.
What `graphfix` had begun to rename when it was killed is first let to its end: the lock is free then.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from graphfix.cli import _guarded, app  # noqa: E402


class Repository:
    """A clean git working tree, in which the process stands."""

    def __init__(self, folder: Path) -> None:
        os.chdir(folder)
        self.old = self.tree()
        if self.status():
            raise SystemExit(f"{folder} has changes; name a clean copy of a repository")

    def status(self) -> bytes:
        """What `git status` shows, untracked files included; empty for the last commit."""
        command = ["git", "status", "--porcelain", "-z", "--untracked-files=all"]
        return subprocess.run(command, capture_output=True, check=True).stdout

    def tree(self) -> dict[str, str]:
        """Mode and hash of every file but git's and the journal's own."""
        found = {}
        for folder, folders, files in os.walk("."):
            folders[:] = [name for name in folders if name not in (".git", ".graphfix")]
            for name in files:
                path = os.path.join(folder, name)
                content = os.readlink(path).encode() if os.path.islink(path) else Path(path).read_bytes()
                found[path] = f"{os.lstat(path).st_mode:o} {hashlib.sha256(content).hexdigest()}"
        return found

    def measure(self) -> tuple[float, float]:
        """The seconds of a whole apply, and of its writing; the repository is as before then, and `new` is known."""
        start = time.monotonic()
        child = started_fork("apply", ".")
        while not os.path.exists(".graphfix/pending.json"):
            if time.monotonic() > start + 120:
                raise SystemExit("nothing is written here; name a repository in which graphfix apply finds something")
        writing = time.monotonic()
        while os.path.exists(".graphfix/pending.json"):
            pass
        written = time.monotonic()
        os.waitpid(child, 0)
        end = time.monotonic()
        self.new, self.new_status = self.tree(), self.status()
        assert self.new != self.old
        assert undo() == 0
        assert self.tree() == self.old
        return end - start, written - writing

    def shown(self) -> str:
        """Which tree git shows: `old`, `new`, or what else."""
        status, tree = self.status(), self.tree()
        if tree == self.old and not status:
            return "old"
        return "new" if tree == self.new and status == self.new_status else f"mixed: {status.decode()}"


def started_fork(*arguments: str) -> int:
    """A fork of this process that runs a graphfix command and leads its own group."""
    child = os.fork()
    if not child:
        code = 3
        try:
            os.setpgid(0, 0)
            nowhere = os.open(os.devnull, os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(nowhere, number)
            code = _guarded(lambda: app(list(arguments), standalone_mode=False))
        finally:
            os._exit(code)
    with contextlib.suppress(PermissionError, ProcessLookupError):
        os.setpgid(child, child)
    return child


def started_process(*arguments: str) -> int:
    """A new Python process that runs a graphfix command and leads its own group."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "graphfix", *arguments]
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, process_group=0, **streams).pid


def undo() -> int:
    """The exit code of `graphfix undo`."""
    _, status = os.waitpid(started_fork("undo"), 0)
    return os.waitstatus_to_exitcode(status)


def kill(start: Callable[..., int], in_writing: bool, delay: float) -> str:
    """Kill an apply after `delay` seconds (of its writing); returns what it was doing, empty where it was over."""
    child = start("apply", ".")
    until = time.monotonic() + delay
    if in_writing:
        gone = False
        while not (gone := os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None):
            if os.path.exists(".graphfix/pending.json"):
                break
        until = time.monotonic() + (0 if gone else delay)
    while time.monotonic() < until:
        pass
    begun = os.path.exists(".graphfix/pending.json")
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
        return ""
    return "writing" if begun else "before or after"


def wait_for_renames() -> None:
    with contextlib.suppress(FileNotFoundError), open(".graphfix/lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


def main(folder: Path, kills: int, seed: int) -> dict[str, object]:
    """Kill so many applies; returns how often each tree was left, by what the apply was doing."""
    chance = random.Random(seed)
    repository = Repository(folder)
    with contextlib.redirect_stdout(io.StringIO()):
        _guarded(lambda: app(["apply", ".", "--check"], standalone_mode=False))  # all is imported now
    whole, writing = repository.measure()
    window = writing
    begin = time.monotonic()
    _, _ = os.waitpid(started_process("rules"), 0)
    boot = time.monotonic() - begin
    counts: Counter[str] = Counter()
    while (number := counts.total()) < kills:
        start, more = (started_process, boot) if number % 20 == 19 else (started_fork, 0.0)
        in_writing = number % 2 == 1
        doing = kill(start, in_writing, chance.uniform(0, window if in_writing else whole + more))
        wait_for_renames()
        shown = repository.shown()
        code = undo()
        if in_writing:
            window *= 1.1 if shown == "old" else 0.9
        if doing:
            counts[f"{doing}, {shown}"] += 1
        if shown not in ("old", "new") or (code and (shown == "new" or doing == "writing")):
            raise SystemExit(f"kill {number}, {doing}: git shows {shown}, undo ends with {code}")
        if (left := repository.shown()) != "old":
            raise SystemExit(f"kill {number}, {doing}: after undo git shows {left}")
    seconds = {"apply": whole, "writing": writing, "all": time.monotonic() - begin}
    return {"kills": kills, "files": len(repository.new), **counts, **{k: round(v, 3) for k, v in seconds.items()}}


if __name__ == "__main__":
    given = sys.argv[1:]
    print(json.dumps(main(Path(given[0]), int(given[1]) if len(given) > 1 else 200, 0)))
