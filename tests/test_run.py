"""`graphfix run` leaves the user's program as Python runs it, and reports its breaks on stderr or in a file."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Run

from graphfix.prove import overlay
from graphfix.source.sources import Sources

NO_GRAPH = "no graph was captured: this is not clean"

FACTS = """
import sys
loaded = set(sys.modules) - {"sitecustomize", "__future__"}
import json, os
main = sys.modules["__main__"]
facts = {name: str(getattr(main, name)) for name in ("__name__", "__file__", "__doc__", "__package__", "__cached__")}
facts["spec"], facts["loader"] = main.__spec__ and main.__spec__.name, type(main.__loader__).__name__
facts |= {"names": sorted(vars(main)), "argv": sys.argv, "path": sys.path, "flags": list(sys.flags)}
facts |= {"orig_argv": sys.orig_argv[1:], "environment": dict(os.environ), "loaded": sorted(loaded)}
facts |= {"stdin": sys.stdin.read(), "group": os.getpgrp() == int(sys.argv[-1])}
print(json.dumps(facts))
"""

SERVER = """
import sys, time, torch

@torch.compile(backend="eager")
def f(x):
    y = x * 2
    print("inside")
    return y + 1

f(torch.ones(2))
print("ready", flush=True)
for line in sys.stdin:
    f(torch.ones(2, 2))
    print("again", flush=True)
"""


class Program:
    """A program under `graphfix run`, in a session of its own, as from a terminal: nothing is ignored."""

    def __init__(self, folder: Path, text: str, *options: str) -> None:
        (folder / "program.py").write_text(text, encoding="utf-8")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "graphfix", "run", *options, "program.py"],
            cwd=folder,
            env={**environment(), "TMPDIR": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=heed_signals,
        )
        self.pid = int(self.line())

    def line(self) -> str:
        """The next line on its stdout; by the first one the program tells its process id."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def signal(self, number: int, *, group: bool = True) -> None:
        (os.killpg if group else os.kill)(self.process.pid, number)

    def end(self) -> tuple[int, str, str]:
        """Its exit code, the rest of its stdout, and stderr."""
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


def environment() -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "COLUMNS": "120"}


def heed_signals() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # CI starts us with it ignored


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Starts a program that prints its process id first; ends it with the test."""
    started: list[Program] = []

    def begin(text: str, *options: str) -> Program:
        started.append(Program(tmp_path, f"import os\nprint(os.getpid(), flush=True)\n{text}", *options))
        return started[-1]

    yield begin
    for program in started:
        with contextlib.suppress(ProcessLookupError):
            program.signal(signal.SIGKILL)
        program.process.communicate()


def both(folder: Path, *words: str, **options: Any) -> tuple[subprocess.CompletedProcess[str], ...]:
    """The same words after `python` and after `graphfix run`."""
    commands = ([sys.executable, *words], [sys.executable, "-m", "graphfix", "run", *words])
    run = {"cwd": folder, "env": environment(), "capture_output": True, "text": True, "timeout": 60, **options}
    plain, watched = (subprocess.run(command, **run) for command in commands)
    return plain, watched


def until(condition: Callable[[], object]) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def read_until(file: int, end: bytes) -> bytes:
    """What can be read from the file, up to and including `end`."""
    found = b""
    while end not in found:
        found += os.read(file, 1024)
    return found


def site(report: dict[str, Any]) -> list[tuple[str, int]]:
    return [(found["id"], found["seen"]) for found in report["targets"][0]["sites"]]


@pytest.mark.parametrize("words", ["facts.py", "-m facts", "-m package", "package", "link.py"])
def test_a_program_finds_what_it_finds_without_graphfix(tmp_path: Path, words: str) -> None:
    (tmp_path / "package").mkdir()
    for place in ("facts.py", "package/__init__.py", "package/__main__.py"):
        (tmp_path / place).write_text(FACTS if "init" not in place else "")
    (tmp_path / "link.py").symlink_to(tmp_path / "package" / "__main__.py")
    arguments = [*words.split(), "--format", "x", "--help", "--", "-m", str(os.getpgrp())]
    plain, watched = both(tmp_path, *arguments, input="typed\n")
    assert json.loads(watched.stdout) == json.loads(plain.stdout)
    assert json.loads(watched.stdout)["stdin"] == "typed\n"
    assert json.loads(watched.stdout)["group"]
    name = Path(words.split()[-1]).name
    assert f"{name}: {NO_GRAPH}" in watched.stderr


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("raise SystemExit(7)", 7),
        ("raise SystemExit('said')", 1),
        ("raise SystemExit", 0),
        ("def f():\n    1 / 0\nf()", 1),
        ("what is this", 1),
        ("os._exit(9)", 9),
        ("os.kill(os.getpid(), 9)", 137),
        ("os.abort()", 134),
        ("raise KeyboardInterrupt", 130),
        ("import threading; threading.Timer(0.2, lambda: print('thread')).start()", 0),
    ],
)
def test_how_a_program_ends(tmp_path: Path, text: str, code: int) -> None:
    (tmp_path / "ends.py").write_text(f"import atexit, os\natexit.register(print, 'at exit')\n{text}\n")
    plain, watched = both(tmp_path, "ends.py", preexec_fn=heed_signals)
    assert watched.returncode == code == (plain.returncode if plain.returncode >= 0 else 128 - plain.returncode)
    assert watched.stdout == plain.stdout
    assert watched.stderr.startswith(plain.stderr)
    assert NO_GRAPH in watched.stderr


def test_the_options_end_where_the_program_begins(graphfix: Run, tmp_path: Path) -> None:
    (tmp_path / "words.py").write_text("import sys; print(sys.argv[1:])")
    done = graphfix("run", "--format", "json", "--output", "report.json", "-m", "words", "--format", "x", "--output")
    assert (done.returncode, done.stdout, done.stderr) == (0, "['--format', 'x', '--output']\n", "")
    target = json.loads((tmp_path / "report.json").read_text())["targets"][0]
    assert (target["name"], target["spec"], target["graphs"]) == ("words", "-m words", 0)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("absent.py", "absent.py does not exist"),
        ("-m", "-m names no module"),
        ("--colour x.py", "No such option: --col"),
    ],
)
def test_a_mistake_starts_nothing(graphfix: Run, words: str, sentence: str) -> None:
    done = graphfix("run", *words.split())
    assert (done.returncode, sentence in done.stderr) == (2, True)


def test_children_and_sitecustomize_are_untouched(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.custom = 'own'")
    (tmp_path / "children.py").write_text(
        """
import multiprocessing, os, subprocess, sys

def double(x):
    return 2 * x, sys.custom, __name__, [type(f).__name__ for f in sys.meta_path][0]

if __name__ == "__main__":
    for kind in ("spawn", "fork", "forkserver"):
        with multiprocessing.get_context(kind).Pool(1) as pool:
            print(pool.map(double, [1]), flush=True)
    run = "import os, sys; print(sys.custom, sorted(os.environ.items()), sys.path, len(sys.meta_path))"
    subprocess.run([sys.executable, "-c", run], check=True)
"""
    )
    path = os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])
    plain, watched = both(tmp_path, "children.py", env={**environment(), "PYTHONPATH": path})
    assert plain.stdout.count("own") == 4
    spawned, forked, served, executed = watched.stdout.splitlines()
    assert [spawned, served, executed] == [line for n, line in enumerate(plain.stdout.splitlines()) if n != 1]
    assert forked.startswith("[(2, 'own', '__main__'")
    assert watched.returncode == 0


PATIENT = """
import sys, time
try:
    print("ready", flush=True)
    time.sleep(30)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    time.sleep(0.8)
    print("done")
    sys.exit(4)
"""
HANDLED = """
import signal, sys, time
hits = []
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2):
    signal.signal(number, lambda number, frame: hits.append(signal.Signals(number).name))
print("ready", flush=True)
until = time.monotonic() + 10
while len(hits) < 3 and time.monotonic() < until:
    time.sleep(0.1)
time.sleep(0.8)
print(hits)
"""


@pytest.mark.parametrize("group", [True, False])
def test_ctrl_c_is_the_programs_once(start: Callable[..., Program], group: bool) -> None:
    program = start(PATIENT)
    assert program.line() == "ready"
    program.signal(signal.SIGINT, group=group)
    code, out, err = program.end()
    assert (code, out) == (4, "interrupted\ndone\n")
    assert "Traceback" not in err
    assert NO_GRAPH in err


@pytest.mark.parametrize("group", [True, False])
def test_every_signal_reaches_the_program_once(start: Callable[..., Program], group: bool) -> None:
    program = start(HANDLED)
    assert program.line() == "ready"
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2):
        program.signal(number, group=group)
    code, out, err = program.end()
    assert (code, sorted(eval(out))) == (0, ["SIGHUP", "SIGTERM", "SIGUSR2"])
    assert NO_GRAPH in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_that_ends_the_program_leaves_its_report(start: Callable[..., Program], number: int) -> None:
    program = start("import time; print('ready', flush=True); time.sleep(30)")
    assert program.line() == "ready"
    program.signal(number, group=False)
    code, _, err = program.end()
    assert (code, NO_GRAPH in err) == (128 + number, True)


def test_a_program_that_ignores_ctrl_c_is_waited_for(start: Callable[..., Program]) -> None:
    program = start(
        "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('ready', flush=True); time.sleep(30)"
    )
    assert program.line() == "ready"
    for _ in range(3):
        program.signal(signal.SIGINT)
        time.sleep(0.1)
    program.signal(signal.SIGTERM)
    code, _, err = program.end()
    assert (code, NO_GRAPH in err) == (143, True)


def test_impatience_loses_no_report(start: Callable[..., Program]) -> None:
    program = start("import time; print('ready', flush=True); time.sleep(30)")
    assert program.line() == "ready"
    program.signal(signal.SIGTERM)
    while program.process.poll() is None:  # to the last moment of the interpreter's own end
        program.signal(signal.SIGINT, group=False)
        time.sleep(0.001)
    code, _, err = program.end()
    assert (code, NO_GRAPH in err) == (143, True)


def test_a_report_on_the_way_that_fails_ends_nothing(start: Callable[..., Program], tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    program = start("print('ready', flush=True); print(input())", "--output", "taken")
    assert program.line() == "ready"
    program.signal(signal.SIGUSR1, group=False)
    assert program.process.stdin is not None
    assert program.process.stderr is not None
    assert program.process.stderr.readline().startswith("graphfix: no report this time: taken cannot be written")
    program.process.stdin.write("words\n")
    code, out, err = program.end()
    assert (code, out) == (2, "words\n")
    assert err.startswith("graphfix: taken cannot be written")


def test_what_graphfix_was_told_to_ignore_the_program_ignores(tmp_path: Path) -> None:
    (tmp_path / "nohup.py").write_text(
        "import signal; print(signal.getsignal(signal.SIGHUP), signal.getsignal(signal.SIGINT))"
    )

    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    plain, watched = both(tmp_path, "nohup.py", preexec_fn=ignore)
    assert watched.stdout == plain.stdout == "1 1\n"


def test_the_program_outlives_graphfix(start: Callable[..., Program], tmp_path: Path) -> None:
    program = start("import time; print('ready', flush=True); time.sleep(1); open('left', 'w').write('here')")
    assert program.line() == "ready"
    program.signal(signal.SIGKILL, group=False)
    until((tmp_path / "left").exists)


def test_in_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "typed.py").write_text(
        "import os, sys, time\nprint(*(os.isatty(n) for n in range(3)), input('? '))\n"
        "try:\n    print('ready')\n    time.sleep(30)\nexcept KeyboardInterrupt:\n    sys.exit(5)"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        heed_signals()
        os.chdir(tmp_path)
        os.execve(sys.executable, [sys.executable, "-m", "graphfix", "run", "typed.py"], environment())
    shown = read_until(terminal, b"? ")
    os.write(terminal, b"words\n")
    shown += read_until(terminal, b"ready")
    os.write(terminal, b"\x03")
    with contextlib.suppress(OSError):  # the terminal is gone with its last program
        while part := os.read(terminal, 1024):
            shown += part
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown.decode())
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
    assert f"graphfix: watching typed.py; `kill -USR1 {pid}` reports so far" in text
    assert "True True True words" in text
    assert f"typed.py: {NO_GRAPH}" in text


@pytest.mark.torch
def test_a_server_reports_when_asked_and_when_killed(start: Callable[..., Program], tmp_path: Path) -> None:
    program = start(SERVER, "--format", "json", "--output", "report.json")
    file = tmp_path / "report.json"
    while program.line() != "ready":
        pass
    program.signal(signal.SIGUSR1, group=False)
    until(lambda: file.exists() and file.read_text().endswith("}\n"))
    assert site(json.loads(file.read_text())) == [("GB0059", 1)]
    assert program.process.stdin is not None
    program.process.stdin.write("more\n")
    program.process.stdin.flush()
    while program.line() != "again":
        pass
    os.kill(program.pid, signal.SIGKILL)
    code, _, err = program.end()
    assert (code, err) == (137, "")
    found = json.loads(file.read_text())
    assert site(found) == [("GB0059", 2)]
    assert found["targets"][0]["graphs"] == 4
    assert [one["function"] for one in found["targets"][0]["recompiles"]] == ["f", "f"]


@pytest.mark.torch
def test_every_compile_of_the_program_is_told(graphfix: Run, tmp_path: Path) -> None:
    (tmp_path / "many.py").write_text(
        """
import os, sys
assert "torch" not in sys.modules
os.environ["TORCH_LOGS"] = "graph_breaks"
import torch

def double(x):
    print("double")
    return x * 2

class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, n):
        return torch.ones(2) * n

def child(x):
    y = x + 1
    print("in a child", flush=True)
    return y * 2

if __name__ == "__main__":
    print(torch.compile(double, backend="eager", dynamic=False)(torch.ones(3)).tolist(), flush=True)
    strict = torch.compile(double, backend="eager", fullgraph=True)
    try:
        strict(torch.ones(3))
    except torch._dynamo.exc.Unsupported as error:
        print(type(error).__name__, flush=True)
    if os.fork() == 0:
        torch.compile(child, backend="eager")(torch.ones(3))
        os._exit(0)
    os.wait()
    for kind, workers in (("fork", 2), ("spawn", 1)):
        loader = torch.utils.data.DataLoader(Rows(), num_workers=workers, multiprocessing_context=kind)
        print(sum(float(rows.sum()) for rows in loader), flush=True)
    torch._dynamo.utils.clear_compilation_metrics()
    os._exit(6)
"""
    )
    done = graphfix("run", "--format", "json", "--output", "report.json", "many.py")
    assert done.returncode == 6
    assert done.stdout == "double\n[2.0, 2.0, 2.0]\nUnsupported\nin a child\n12.0\n12.0\n"
    assert done.stderr.count("Graph break in user code") == 2
    found = json.loads((tmp_path / "report.json").read_text())
    assert found["versions"]["device"] == "cpu"
    assert [(one["line"], one["seen"]) for one in found["targets"][0]["sites"]] == [(8, 2), (20, 1)]
    assert found["targets"][0]["graphs"] == 3
    assert found["targets"][0]["notes"] == []


BREAKS = """
import torch

@torch.compile(backend="eager")
def f(x):
    print("inside")
    return x + 1
one = torch.ones(1)
"""
MAIN = """
import sys, layer
print("as installed", [*map(float, layer.f(layer.one))], sys.argv, sys.path[0], __name__, __file__)
1 / 0
"""


@pytest.mark.torch
@pytest.mark.parametrize(
    ("words", "layer"),
    [("main.py x", BREAKS), ("-m main x", "f, one = list, [1]")],
)
def test_an_overlay_is_what_runs_the_script_itself_included(
    graphfix: Run, tmp_path: Path, words: str, layer: str
) -> None:
    main, place = tmp_path / "main.py", tmp_path / "layer.py"
    main.write_text(MAIN)
    place.write_text(layer)
    better = layer.replace('    print("inside")\n', "").replace("[1]", "[2]")
    with contextlib.chdir(tmp_path):
        overlay.save(Sources({str(place): better, str(main): MAIN.replace("as installed", "patched")}), Path("fixes"))
    done = graphfix("run", "--overlay", "fixes", *words.split())
    assert done.returncode == 1
    argv = ["main.py" if layer == BREAKS else str(main), "x"]
    assert done.stdout == f"patched [2.0] {argv} {tmp_path} __main__ {main}\n"
    assert "    1 / 0\n" in done.stderr
    assert ("1 graph, no breaks" if layer == BREAKS else NO_GRAPH) in done.stderr
