"""The command line starts without torch, and turns a user's mistake into a sentence and exit code 2."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import graphfix

HOME = Path(graphfix.__file__).parents[1]

CLEAN = """
import torch

def scaled(x: torch.Tensor) -> torch.Tensor:
    return x * 2
"""
BAR_IN_GRAPH = """
import torch
from tqdm import tqdm

@torch.compile
def scaled(x: torch.Tensor) -> torch.Tensor:
    for factor in tqdm(range(4)):
        x = x * factor
    return x
"""


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A real interpreter in `folder`, which finds graphfix where this one does."""
    environment = os.environ | {"PYTHONPATH": str(HOME), "PYTHONIOENCODING": "utf-8", "GRAPHFIX_DEBUG": ""}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", timeout=60, check=False
    )


def imported(done: subprocess.CompletedProcess[str]) -> set[str]:
    """The top-level packages that a run with `-X importtime` imported."""
    return set(re.findall(r"^import time:.*\| +(\w+)", done.stderr, re.MULTILINE))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with two files and an empty configuration."""
    (tmp_path / "clean.py").write_text(CLEAN, encoding="utf-8")
    (tmp_path / "bar.py").write_text(BAR_IN_GRAPH, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text("[tool.graphfix]\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("-c 'import graphfix; print(graphfix.target)'", "<function target"),
        ("-m graphfix --help", "Usage: "),
        ("-m graphfix --version", f"graphfix {graphfix.__version__}"),
        ("-m graphfix rules", "GF101"),
        ("-m graphfix scan clean.py", "no findings"),
    ],
)
def test_what_starts_without_torch_and_libcst(project: Path, command: str, shown: str) -> None:
    done = python(project, "-X", "importtime", *shlex.split(command))
    assert done.returncode == 0
    assert shown in done.stdout
    assert "graphfix" in imported(done)
    assert imported(done).isdisjoint({"torch", "libcst"})


@pytest.mark.parametrize(
    ("command", "code"), [("--version", 0), ("scan clean.py", 0), ("scan bar.py", 1), ("scan . --select GF3", 1)]
)
def test_what_is_typed_most_starts_with_none_of_the_heavy_ones(project: Path, command: str, code: int) -> None:
    done = python(project, "-X", "importtime", "-m", "graphfix", *command.split())
    assert done.returncode == code
    heavy = {"typer", "click", "rich", "pydantic", "multiprocessing", "email", "hashlib"}
    assert imported(done).isdisjoint(heavy)


def test_a_finding_with_its_fix_needs_libcst_and_still_no_torch(project: Path) -> None:
    done = python(project, "-X", "importtime", "-m", "graphfix", "scan", "bar.py")
    assert done.returncode == 1
    assert "GF302" in done.stdout
    assert imported(done).isdisjoint({"torch", "libcst"})
    done = python(project, "-X", "importtime", "-m", "graphfix", "scan", "bar.py", "--format", "json")
    assert done.returncode == 1
    assert "+    for factor in range(4) if" in done.stdout
    assert "libcst" in imported(done)
    assert "torch" not in imported(done)


def test_the_import_that_is_looked_for_would_be_seen(project: Path) -> None:
    assert "libcst" in imported(python(project, "-X", "importtime", "-c", "import libcst"))


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("scan absent.py", "absent.py does not exist"),
        ("apply absent", "absent does not exist"),
        ("scan absent.py::flow", "absent.py does not exist"),
        ("verify absent.py::flow", "absent.py does not exist"),
        ("run absent.py", "absent.py does not exist"),
        ("scan --select GF9 clean.py", "no rule is called 'GF9'"),
        ("scan --ignore item clean.py", "no rule is called 'item'"),
        ("scan --scope absent clean.py", "absent"),
        ("scan --trace absent.log", "absent.log"),
        ("explain GF999", "'GF999' is neither a rule nor a break id"),
        ("apply --diff --check clean.py", "choose one"),
    ],
)
def test_a_mistake_is_one_line(project: Path, command: str, sentence: str) -> None:
    done = python(project, "-m", "graphfix", *command.split())
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(rf"graphfix: (?!internal error).*{re.escape(sentence)}.*\n", done.stderr)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("color = true", "unknown key 'color'"),
        ("select = 'GF101'", "select in [tool.graphfix]"),
        ("targets = ['a.py::f']", "targets in [tool.graphfix]"),
        ("unsafe = 'yes'", "unsafe in [tool.graphfix]"),
        ("select = ['GF9']", "no rule is called 'GF9'"),
        ("select =", "cannot be read"),
    ],
)
def test_a_mistake_in_the_configuration_is_one_line(project: Path, line: str, sentence: str) -> None:
    (project / "pyproject.toml").write_text(f"[tool.graphfix]\n{line}\n", encoding="utf-8")
    done = python(project, "-m", "graphfix", "scan", "clean.py")
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(rf"graphfix: (?!internal error).*{re.escape(sentence)}.*\n", done.stderr)


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("scan --colour clean.py", "No such option: --colour"),
        ("scna clean.py", "No such command 'scna'"),
        ("scan --format yaml clean.py", "Invalid value for '--format'"),
        ("scan --jobs 0 clean.py", "Invalid value for '--jobs'"),
        ("verify", "Missing argument"),
    ],
)
def test_a_mistaken_option_ends_with_the_sentence(project: Path, command: str, sentence: str) -> None:
    done = python(project, "-m", "graphfix", *command.split())
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert sentence in done.stderr.splitlines()[-1]
