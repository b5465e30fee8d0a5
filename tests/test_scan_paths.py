"""`graphfix scan PATH`: what is scanned, what is told, and the exit code, in real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, Run, report

MODEL = """\
import torch


class Net(torch.nn.Module):
    def forward(self, x: torch.Tensor):
        print("step", x.shape)
        y = torch.zeros(3)
        y.fill_(x.mean().item())
        return y
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("model.py", "tests/test_model.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(MODEL)
    return tmp_path


def configured(project: Path, text: str) -> None:
    (project / "pyproject.toml").write_text(f"[tool.graphfix]\n{text}\n")


def found(done: subprocess.CompletedProcess[str]) -> list[tuple[str, int, str]]:
    return [(one["path"], one["line"], one["rule"]) for one in report(done)["findings"]]


def piped(project: Path, *arguments: str, source: bytes) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "graphfix", "scan", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=project, input=source, capture_output=True, env=environment, timeout=60)


BOTH = [("model.py", 6, "GF301"), ("model.py", 8, "GF101")]


def test_selection_by_flags_and_configuration(graphfix: Run, project: Path) -> None:
    configured(project, 'ignore = ["GF1"]\nper-file-ignores = {"tests/*" = ["log-call"]}')
    done = graphfix("scan", ".", "--format", "json")
    assert done.returncode == 1
    assert found(done) == BOTH[:1]
    assert found(graphfix("scan", ".", "--format", "json", "--ignore", "GF2")) == [
        *BOTH,
        ("tests/test_model.py", 8, "GF101"),
    ]
    assert graphfix("scan", ".", "--select", "GF2,GF302").returncode == 0


def test_configuration_counts_from_its_own_folder(graphfix: Run, project: Path) -> None:
    configured(project, 'per-file-ignores = {"tests/*" = ["GF1"]}\nexclude = ["model.py"]\nbaseline = "known.json"')
    (project / "known.json").write_text('{"schema": 1, "findings": []}\n')
    command = [sys.executable, "-m", "graphfix", "scan", "..", "--format", "json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=project / "tests", capture_output=True, text=True, env=environment, timeout=60)
    assert found(done) == [("../tests/test_model.py", 6, "GF301")]


def test_a_code_that_no_rule_has(graphfix: Run, project: Path) -> None:
    configured(project, 'per-file-ignores = {"tests/*" = ["log-cal"]}')
    done = graphfix("scan", ".")
    assert done.returncode == 2
    assert (
        done.stderr == "graphfix: no rule is called 'log-cal'; did you mean 'log-call'? `graphfix rules` lists them.\n"
    )


def test_a_comment_that_silences_nothing(graphfix: Run, project: Path) -> None:
    (project / "model.py").write_text(MODEL.replace("zeros(3)", "zeros(3)  # graphfix: ignore[GF301]"))
    done = graphfix("scan", "model.py", "--format", "json", "--select", "GF0,log-call")
    assert found(done) == [("model.py", 6, "GF301"), ("model.py", 7, "GF001")]
    assert graphfix("scan", "model.py", "--select", "unused-suppression").returncode == 0, "GF301 is not selected"
    assert "GF001" not in graphfix("scan", "model.py", "--ignore", "GF001").stdout
    assert graphfix("explain", "GF001").stdout.startswith("GF001 unused-suppression: ")


def test_ignored_files(graphfix: Run, project: Path) -> None:
    (project / ".gitignore").write_text("model.py\n")
    assert {path for path, *_ in found(graphfix("scan", ".", "--format", "json"))} == {"tests/test_model.py"}
    assert found(graphfix("scan", "model.py", "--format", "json")) == BOTH
    configured(project, "respect-gitignore = false\nexclude = ['tests']")
    assert found(graphfix("scan", ".", "--format", "json")) == BOTH
    assert graphfix("scan", "tests/test_model.py").returncode == 1
    assert graphfix("scan", "tests/test_model.py", "--force-exclude").returncode == 0


def test_a_broken_file_counts_where_it_is_named(graphfix: Run, project: Path) -> None:
    (project / "broken.py").write_text("import torch\nprint 1\n")
    among = graphfix("scan", ".", "--select", "GF2")
    assert among.returncode == 0
    assert "skipped broken.py: broken.py:2 is not Python" in among.stdout
    assert graphfix("scan", "model.py", "broken.py", "--select", "GF2").returncode == 2


def test_baseline(graphfix: Run, project: Path) -> None:
    written = graphfix("scan", ".", "--write-baseline", "known.json")
    assert (written.returncode, written.stderr) == (0, "graphfix: 4 findings written to known.json.\n")
    assert len(json.loads((project / "known.json").read_text())["findings"]) == 4
    clean = graphfix("scan", ".", "--baseline", "known.json")
    assert (clean.returncode, clean.stderr) == (0, "")

    moved = MODEL.replace("class Net", "# moved\n\nclass Other").replace("forward", "renamed")
    moved = moved.replace('        print("step", x.shape)\n', '        if True:\n            print("step", x.shape)\n')
    (project / "model.py").write_text(moved)
    configured(project, "baseline = 'known.json'")
    assert graphfix("scan", ".").returncode == 0

    (project / "model.py").write_text(MODEL.replace("return y", 'print("step", x.shape)\n        return y'))
    done = graphfix("scan", ".", "--format", "json")
    assert (done.returncode, found(done), done.stderr) == (1, [("model.py", 9, "GF301")], "")


def test_a_baseline_that_holds_too_much(graphfix: Run, project: Path) -> None:
    configured(project, "baseline = 'known.json'")
    missing = graphfix("scan", ".")
    assert missing.returncode == 2
    assert missing.stderr.startswith(f"graphfix: baseline {project}/known.json cannot be read: ")
    assert missing.stderr.count("\n") == 1
    assert graphfix("scan", ".", "--write-baseline", "known.json").returncode == 0
    (project / "model.py").write_text(MODEL.replace('print("step", x.shape)', "pass"))
    one = graphfix("scan", ".")
    assert one.returncode == 0
    assert one.stderr == "graphfix: 1 entry of known.json matches nothing any more; write it anew.\n"
    assert graphfix("scan", "tests").stderr == "", "files that were not scanned are not judged"
    assert graphfix("scan", ".", "--select", "GF1").stderr == "", "nor are rules that were not selected"
    (project / "tests/test_model.py").unlink()
    assert "3 entries of known.json match nothing any more" in graphfix("scan", ".").stderr
    assert graphfix("scan", ".", "--write-baseline", "known.json").returncode == 0
    assert graphfix("scan", ".").stderr == ""


def test_stdin(project: Path) -> None:
    done = piped(project, "-", "--stdin-filename", "src/net.py", "--format", "json", source=MODEL.encode())
    assert done.returncode == 1
    paths = [(one["path"], one["line"]) for one in json.loads(done.stdout)["findings"]]
    assert paths == [("src/net.py", 6), ("src/net.py", 8)]
    unnamed = piped(project, "-", source=MODEL.encode())
    assert unnamed.returncode == 1
    assert b"<stdin>:6:9: GF301" in unnamed.stdout


def test_stdin_is_decoded_as_python_does(project: Path) -> None:
    source = ("# coding: latin-1\n" + MODEL.replace('"step"', '"été"')).encode("latin-1")
    done = piped(project, "-", "--format", "json", source=source)
    finding = json.loads(done.stdout)["findings"][0]
    assert (finding["line"], finding["column"], finding["end_column"]) == (7, 8, 29)
    broken = piped(
        project, "-", "--stdin-filename", "net.py", source=MODEL.replace("x.shape", "'\xe9'").encode("latin-1")
    )
    assert broken.returncode == 2
    assert b"net.py cannot be decoded" in broken.stdout


def test_stdin_of_an_excluded_file(project: Path) -> None:
    configured(project, 'exclude = ["tests"]\nper-file-ignores = {"net.py" = ["GF"]}')
    for name in ("tests/net.py", "build/net.py", "src/net.py"):
        done = piped(project, "-", "--stdin-filename", name, source=MODEL.encode())
        assert (done.returncode, done.stderr) == (0, b"")
    assert piped(project, "-", "--stdin-filename", "src/other.py", source=MODEL.encode()).returncode == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("- model.py", "- reads one file from stdin; name it alone."),
        ("model.py --stdin-filename x.py", "--stdin-filename names what stdin holds; read it with graphfix scan -."),
        ("model.py --baseline a --write-baseline b", "--baseline and --write-baseline exclude each other; choose one."),
        ("model.py --trace a", "--trace reads a log instead of paths and targets; leave one of the two out."),
        ("--trace a --write-baseline b", "--write-baseline holds findings of paths, and --trace reads none; leave"),
        ("model.py --write-baseline no/b.json", "no/b.json cannot be written: No such file or directory; name a place"),
    ],
)
def test_mistakes(graphfix: Run, project: Path, arguments: str, sentence: str) -> None:
    done = graphfix("scan", *arguments.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"graphfix: {sentence}")
    assert done.stderr.count("\n") == 1
