"""What SIGKILL leaves of an apply: the old files or the new ones, and the old ones after `graphfix undo`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from graphfix.apply import exchange
from graphfix.apply.journal import opened
from graphfix.apply.write import Rest, settle, undo, write_files
from graphfix.errors import WriteError

KILLS = Path(__file__).resolve().parent / "kills.py"
LAYER = """
import logging
import torch

log = logging.getLogger(__name__)

class Layer(torch.nn.Module):
    def forward(self, x):
        log.info("é")
        return x * 2
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Six files in which a log call is to be guarded: links, modes, line endings and encodings as people have them."""
    text = LAYER.replace("é", "shape")
    (tmp_path / "pack").mkdir()
    for name, content in {
        "plain.py": text.encode(),
        "pack/run.py": ("#!/usr/bin/env python" + text).encode(),
        "pack/crlf.py": text.replace("\n", "\r\n").encode(),
        "pack/bom.py": b"\xef\xbb\xbf" + LAYER.encode(),
        "pack/latin.py": ("# coding: latin-1" + LAYER).encode("latin-1"),
        "pack/open.py": text.rstrip().encode(),
    }.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "pack/run.py").chmod(0o755)
    (tmp_path / "link.py").symlink_to("pack/run.py")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "core.autocrlf=false"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    return tmp_path


def test_two_hundred_kills(repository: Path) -> None:
    """See `kills.py`: complete applies in a real repository, killed at random moments."""
    done = subprocess.run([sys.executable, str(KILLS), str(repository), "200"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    print(done.stdout)
    assert (found["kills"], found["files"]) == (200, 7)
    for moment in ("writing, old", "writing, new", "before or after, old"):
        assert found.get(moment, 0) > 5, "the kills came at other moments than those to be tried"


_CALLS = frozenset("open mkdir rename replace unlink write flush fsync close fork flock fchown fchmod setsid".split())


class _Killer:
    """A profile function that kills this process before the call of the operating system that it makes as `number`.

    With `renames`, only calls in the process that makes the renames count, and its parent dies with it.
    """

    def __init__(self, number: int, renames: bool) -> None:
        self.left, self.renames, self.command = number, renames, os.getpid()

    def __call__(self, frame: FrameType, event: str, called: Any) -> None:
        if event != "c_call" or called.__name__ not in _CALLS or self.renames == (os.getpid() == self.command):
            return
        self.left -= 1
        if self.left < 0:
            sys.setprofile(None)
            if self.renames:
                os.kill(self.command, signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)


def killed(action: Callable[[], object], number: int, renames: bool) -> bool:
    """Whether the action, in a fork, came as far as that call; it is over then."""
    child = os.fork()
    if not child:
        sys.setprofile(_Killer(number, renames))
        try:
            action()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


@pytest.fixture(params=["in one place", "beside each file"])
def files(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Three files that an earlier apply wrote, staged in the journal's folder, or as on another file system."""
    if request.param == "beside each file":
        monkeypatch.setattr(exchange, "_one_file_system", lambda home, folder: False)
    return start_again([tmp_path / name for name in ("a.py", "b.py", "c.py")])


def start_again(files: list[Path]) -> list[Path]:
    for file in files:
        file.write_text("a = 0\n")
    write(files, "a = 1\n")
    return files


def write(files: list[Path], text: str) -> None:
    root = files[0].parent
    with opened(root) as journal:
        write_files(journal, {str(file): text for file in files}, {}, [root])


def contents(files: list[Path]) -> list[str]:
    return [file.read_text() for file in files]


def left_behind(root: Path) -> set[str]:
    """Temporary files, and originals that no record needs."""
    journal = root / ".graphfix"
    records = [path.read_text() for path in journal.glob("*.json")]
    kept = {path.name for path in journal.iterdir() if not any(path.name in record for record in records)}
    return {path.name for path in root.glob(".graphfix-*")} | kept - {".gitignore", "lock", "undo.json"}


EARLIER, OLD, NEW = (["a = 0\n"] * 3, ["a = 1\n"] * 3, ["a = 2\n"] * 3)
BOTH = pytest.mark.parametrize("renames", [False, True], ids=["the command", "what renames"])


@BOTH
def test_killed_before_every_call(files: list[Path], renames: bool) -> None:
    """Each file call that a write makes, one after the other, in the command or in what makes the renames for it."""
    root, seen = files[0].parent, set()
    while killed(lambda: write(files, "a = 2\n"), len(seen), renames):
        number = len(seen)
        with opened(root) as journal:  # which waits until the renames are over
            rest = settle(journal)
        found = contents(files)
        seen.add((number, rest, tuple(found)))
        assert found in (OLD, NEW) or (renames and rest is Rest.SOME), number
        if rest is Rest.SOME:
            with pytest.raises(WriteError, match="cut short between two files; run graphfix undo first"):
                write(files, "a = 3\n")
        if found != OLD:
            assert undo(root), number
        assert contents(files) == OLD, number
        assert not left_behind(root), number
        if found != NEW:
            undo(root)
            assert contents(files) == EARLIER, "what was never written does not forget the write before"
        start_again(files)
    assert contents(files) == NEW
    mixed = {found for _, rest, found in seen if rest is Rest.SOME}
    assert len(mixed) == (2 if renames else 0), "nothing but a kill of what renames leaves some new and some old"
    assert {tuple(OLD), tuple(NEW)} <= {found for _, _, found in seen}


@BOTH
def test_an_undo_is_killed_before_every_call(files: list[Path], renames: bool) -> None:
    root, number = files[0].parent, 0
    write(files, "a = 2\n")
    while killed(lambda: undo(root), number, renames):
        with opened(root):
            found = contents(files)
        assert renames or found in (OLD, NEW), number
        with contextlib.suppress(WriteError):  # there is nothing left to undo
            undo(root)
        assert contents(files) == OLD, number
        assert not left_behind(root), number
        write(files, "a = 2\n")
        number += 1
    assert contents(files) == OLD
    assert number > 10


def test_signals_wait_for_the_renames(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle: all is new, and it is heard then."""
    usual = exchange._replace_all

    def interrupted(*arguments: Any) -> None:
        os.kill(os.getppid(), signal.SIGINT)
        usual(*arguments)

    monkeypatch.setattr(exchange, "_replace_all", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(files, "a = 2\n")
    monkeypatch.undo()
    assert contents(files) == NEW
    undo(files[0].parent)
    assert contents(files) == OLD


def test_what_can_neither_be_written_nor_put_back_is_said(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    usual, root = os.replace, files[0].parent

    def failing(source: Path, target: Any) -> None:
        if str(target).endswith("b.py") or str(source).endswith(".old"):
            raise OSError(5, "Input/output error")
        usual(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(WriteError, match=r"b\.py: Input/output error; some files were written, run graphfix undo"):
        write(files, "a = 2\n")
    monkeypatch.undo()
    assert contents(files) == ["a = 2\n", "a = 1\n", "a = 1\n"]
    assert undo(root) == [str(files[0])]
    assert contents(files) == OLD
