"""Workers forked from a process that has imported torch: as fresh and as mortal as those started plainly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import ROOT

from graphfix.model import Status, Target
from graphfix.scan import forking
from graphfix.scan.dynamic import Options, make_job, observe_all
from graphfix.scan.observation import Observation

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(not forking._is_safe(), reason="workers are started plainly here"),
]


@pytest.fixture(autouse=True)
def no_server_stays() -> Iterator[None]:
    yield
    forking.end_server()


def observe(folder: Path, body: str) -> Observation:
    """What a worker sees of a target with this body."""
    path = folder / "targets.py"
    text = "import os, signal, graphfix, torch\n\n@graphfix.target\ndef one():\n"
    path.write_text(text + textwrap.indent(textwrap.dedent(body), "    "))
    target, options = Target(f"{path}::one", "one"), Options([], device="cpu", timeout=60.0)
    return observe_all([make_job(target, options, overlay={}, explain=True)], options, lambda stage: None)[0]


CALL = "\nyield graphfix.Call(torch.relu, torch.ones(2))\n"


def server() -> int:
    (only,) = forking._servers.values()
    return only._process.pid


def test_one_process_imports_torch_and_nothing_of_a_worker_reaches_the_next(tmp_path: Path) -> None:
    fresh = "assert not hasattr(torch, 'mark') and 'MARK' not in os.environ, 'not fresh'\n"
    seen = [observe(tmp_path, fresh + "torch.mark = 1; os.environ['MARK'] = '1'" + CALL)]
    first = server()
    seen.append(observe(tmp_path, fresh + CALL))
    assert server() == first
    assert [(one.error, one.graphs) for one in seen] == [(None, 1), (None, 1)]


def test_a_worker_has_the_environment_and_folder_of_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        monkeypatch.setenv("WHICH", name)
        assert observe(tmp_path, f"assert os.environ['WHICH'] == {name!r} in os.getcwd()" + CALL).error is None


@pytest.mark.parametrize(
    ("death", "said"),
    [
        ("os._exit(3)", "ended with exit code 3"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
        ("os.killpg(os.getpgrp(), signal.SIGKILL)", "killed by SIGKILL"),
    ],
)
def test_how_a_worker_ends_is_told(tmp_path: Path, death: str, said: str) -> None:
    seen = observe(tmp_path, death + CALL)
    assert seen.ending.status is Status.CRASH
    assert said in str(seen.ending.error)
    assert observe(tmp_path, "pass" + CALL).error is None


def test_a_worker_is_started_plainly_where_the_server_is_gone(tmp_path: Path) -> None:
    assert observe(tmp_path, "pass" + CALL).error is None
    os.kill(server(), signal.SIGKILL)
    assert observe(tmp_path, "pass" + CALL).error is None
    assert not forking._servers


@pytest.mark.parametrize("number", [None, signal.SIGKILL, signal.SIGINT])
def test_no_process_stays_behind(tmp_path: Path, number: signal.Signals | None) -> None:
    wait = "import time; open('started', 'w').close(); time.sleep(60)\n" if number else ""
    (tmp_path / "targets.py").write_text(
        "import graphfix, torch\n\n@graphfix.target\ndef one():\n"
        + textwrap.indent(f"{wait}yield graphfix.Call(torch.relu, torch.ones(2))\n", "    ")
    )
    command = subprocess.Popen(
        [sys.executable, "-m", "graphfix", "scan", "targets.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    if number is not None:
        assert within(40, (tmp_path / "started").exists)
        assert len(processes_in(tmp_path)) >= 4  # the command, the server, the worker, and who waits for it
        command.send_signal(number)
    command.wait(60)
    assert within(10, lambda: not processes_in(tmp_path)), processes_in(tmp_path)


@pytest.mark.parametrize("delay", [0.0, 0.5, 1.5])
def test_ctrl_c_is_heard_while_torch_is_imported(tmp_path: Path, delay: float) -> None:
    """Two threads may wait for their workers then."""
    text = "import graphfix, time\n"
    for name in ("one", "two", "three"):
        text += f"\n@graphfix.target\ndef {name}():\n    time.sleep(60)\n    yield graphfix.Call(len, [])\n"
    (tmp_path / "targets.py").write_text(text)
    command = subprocess.Popen(
        [sys.executable, "-m", "graphfix", "scan", "targets.py", "--jobs", "2"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert within(40, lambda: any("forkserver" in words for words in processes_in(tmp_path)))
    time.sleep(delay)
    command.send_signal(signal.SIGINT)
    assert command.wait(30) == 130
    assert within(10, lambda: not processes_in(tmp_path)), processes_in(tmp_path)


def within(seconds: float, holds: Callable[[], object]) -> bool:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    return bool(holds())


def processes_in(folder: Path) -> list[str]:
    """The command lines of the processes that work in a folder."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and (process / "cwd").resolve(strict=True) == folder.resolve():
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found
