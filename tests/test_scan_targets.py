"""`graphfix scan TARGET` on a user's own file: whatever a target does, it is a row, and the others' rows are whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT, Run, report

TARGETS = """
import ctypes, os, signal, time
import graphfix, torch

class Hangs(torch.nn.Module):
    def forward(self, x):
        while True:
            time.sleep(0.1)

def raises(x):
    raise ValueError("bad shape")

def dies(x):
    os.kill(os.getpid(), signal.SIGKILL)

def faults(x):
    ctypes.string_at(0)

def leaves(x):
    os._exit(0)

def clean(x):
    return x + 1

def breaks(x):
    y = x * 2
    größe = 3;  z = torch.full((2,), y.sum().item())
    return z + größe

for function in (raises, dies, faults, leaves, clean, breaks):
    function.call = graphfix.Call(function, torch.ones(2))

@graphfix.target
def hang():
    yield graphfix.Call(Hangs(), torch.ones(2))
"""
NAMES = ("raises", "dies", "faults", "leaves", "clean", "breaks")


@pytest.fixture
def targets(tmp_path: Path) -> Path:
    """A file with a target for each thing that can go wrong, and two that work."""
    path = tmp_path / "mine.py"
    made = "".join(f"\n@graphfix.target\ndef target_{name}():\n    yield {name}.call\n" for name in NAMES)
    path.write_text(TARGETS + made, encoding="utf-8")
    return path


def test_every_failure_is_a_row(graphfix: Run, targets: Path) -> None:
    done = graphfix("scan", "mine.py", "mine.py::absent", "--format", "json", "--timeout", "25", "--jobs", "2")
    rows = {row["name"]: row for row in report(done)["targets"]}
    assert done.returncode == 2
    assert "Traceback" not in done.stdout + done.stderr
    assert {name: row["status"] for name, row in rows.items()} == {
        "hang": "timeout",
        "target_raises": "error",
        "target_dies": "crash",
        "target_faults": "crash",
        "target_leaves": "crash",
        "target_clean": "ok",
        "target_breaks": "ok",
        "absent": "error",
    }
    assert next(iter(rows)) == "hang", "rows come in the order of the file, however long each took"
    assert 'mine.py", line 8 in forward' in rows["hang"]["error"]
    assert "ValueError: bad shape while warming up in eager" in rows["target_raises"]["error"]
    assert "SIGKILL" in rows["target_dies"]["error"]
    assert "SIGSEGV" in rows["target_faults"]["error"]
    assert "exit code 0" in rows["target_leaves"]["error"]
    assert "mine.py has no 'absent'" in rows["absent"]["error"]
    assert (rows["target_clean"]["graphs"], rows["target_clean"]["sites"]) == (1, [])


def test_a_site_is_placed_in_characters(graphfix: Run, targets: Path) -> None:
    done = graphfix("scan", "mine.py::target_breaks", "--format", "json")
    assert done.returncode == 1
    (site,) = report(done)["targets"][0]["sites"]
    line = site["code"]
    assert line[site["column"] : site["end_column"]] == "y.sum().item()"
    assert (site["id"], site["function"], site["seen"]) == ("GB0124", "breaks", 1)


def test_no_break_but_no_graph_is_not_clean(graphfix: Run, tmp_path: Path) -> None:
    (tmp_path / "empty.py").write_text("def nothing(x):\n    return x\n\ndef t():\n    return nothing, (1,), {}\n")
    done = graphfix("scan", "empty.py::t")
    assert done.returncode == 1
    assert "no graph was captured" in done.stdout


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("return 3", "a target must yield graphfix.Call"),
        ("yield 3", "a target must yield graphfix.Call"),
        ("yield from ()", "yields no call"),
        ("raise SystemExit('no weights')", "SystemExit: no weights while building the calls"),
    ],
)
def test_what_is_no_target_is_said(graphfix: Run, tmp_path: Path, body: str, says: str) -> None:
    (tmp_path / "odd.py").write_text(f"def t():\n    {body}\n")
    done = graphfix("scan", "odd.py::t")
    assert done.returncode == 2
    assert says in done.stdout


@pytest.mark.parametrize("form", ["return f, (torch.ones(2),), {'scale': 2}", "return graphfix.Call(f, torch.ones(2))"])
def test_plain_functions_are_targets(graphfix: Run, tmp_path: Path, form: str) -> None:
    (tmp_path / "plain.py").write_text(
        f"import graphfix, torch\n\ndef f(x, scale=1):\n    return x * scale\n\ndef t():\n    {form}\n"
    )
    for spec in ("plain.py::t", "plain::t"):
        assert graphfix("scan", spec).returncode == 0


def test_modules_that_fail_when_they_are_asked_are_not_asked(graphfix: Run, tmp_path: Path) -> None:
    """Lazy modules, as libraries put them into sys.modules and their own globals; recompiles look for their files."""
    (tmp_path / "lazy.py").write_text(
        "import sys, types\nimport graphfix, torch\n\n"
        "class Lazy(types.ModuleType):\n    def __getattr__(self, name):\n        raise ImportError('missing')\n\n"
        "class Proxy:\n    def __getattr__(self, name):\n        raise ImportError('not installed')\n"
        "    __module__ = property(lambda self: self.missing)\n\n"
        "sys.modules['absent'] = absent = Lazy('absent')\nproxy = Proxy()\n\n"
        "def f(x, n):\n    return x[n] * 2\n\n"
        "@graphfix.target\ndef t():\n"
        "    for n in range(3):\n        yield graphfix.Call(f, torch.ones(4), n)\n"
    )
    done = graphfix("scan", "lazy.py", "--format", "json")
    (row,) = report(done)["targets"]
    assert row["error"] is None
    assert row["recompiles"]


def test_ctrl_c_ends_the_worker_and_writes_nothing(targets: Path) -> None:
    process = _start("scan", "mine.py::hang", cwd=targets.parent)
    worker = _child_of(process.pid)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert _is_gone(worker)


def test_the_worker_dies_with_its_parent(targets: Path) -> None:
    process = _start("scan", "mine.py::hang", cwd=targets.parent)
    worker = _child_of(process.pid)
    process.kill()
    process.communicate(timeout=30)
    assert _is_gone(worker)


def _start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "graphfix", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # CI starts us with it ignored
    )


def _child_of(pid: int) -> int:
    """The worker's process id, once it is up and has had time to run into its target."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    for _ in range(100):
        if found := children.read_text().split():
            time.sleep(1)
            return int(found[0])
        time.sleep(0.1)
    raise AssertionError("no worker was started")


def _is_gone(pid: int) -> bool:
    for _ in range(50):
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.1)
    return False
