"""The hooks under the real pre-commit: installed from a copy of this repository, run by `git commit`.

Installing them takes some fifteen seconds, once; they share one environment.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT

pytest.importorskip("pre_commit")

BREAKING = "import torch\n\n\n@torch.compile\ndef f(x: torch.Tensor):\n    print(x.shape)\n    return x + 1\n"
FIXED = BREAKING.replace("    print", "    if not torch.compiler.is_compiling():\n        print")
SILENCED = BREAKING.replace("print(x.shape)", "print(x.shape)  # graphfix: ignore[GF301]")

Commit = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A process's environment with nothing of this one's Python, and a cache of pre-commit's own."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "PYTHON", "PRE_COMMIT"))}
    for role in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{role}_NAME": "a", f"GIT_{role}_EMAIL": "a@example.org"}
    return env | {
        "PRE_COMMIT_HOME": str(tmp_path_factory.mktemp("cache")),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "COLUMNS": "100",
    }


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> tuple[Path, str]:
    """A repository with what this one ships, and its commit."""
    repository = tmp_path_factory.mktemp("graphfix")
    for name in ("graphfix", "rules"):
        shutil.copytree(ROOT / name, repository / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml"):
        shutil.copy(ROOT / name, repository)
    _git(repository, environment, "init", "-q")
    _git(repository, environment, "add", ".")
    _git(repository, environment, "commit", "-qm", "all")
    return repository, _git(repository, environment, "rev-parse", "HEAD").stdout.strip()


def _git(folder: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=True, timeout=60
    )


@pytest.fixture
def commit(tmp_path: Path, hooks: tuple[Path, str], environment: dict[str, str]) -> Commit:
    """`commit(hook, *paths)` stages these paths (all by default) in `tmp_path` and commits them under that hook."""
    repository, revision = hooks
    _git(tmp_path, environment, "init", "-q")
    subprocess.run(
        [sys.executable, "-m", "pre_commit", "install"], cwd=tmp_path, env=environment, capture_output=True, check=True
    )

    def run(hook: str, *paths: str) -> subprocess.CompletedProcess[str]:
        config = f"repos:\n- repo: {repository}\n  rev: {revision}\n  hooks:\n  - id: {hook}\n"
        (tmp_path / ".pre-commit-config.yaml").write_text(config)
        _git(tmp_path, environment, "add", *(paths or ["."]))
        return subprocess.run(
            ["git", "commit", "-m", "one"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
        )

    return run


def test_a_finding_fails_the_commit_and_is_shown(commit: Commit, tmp_path: Path) -> None:
    (tmp_path / "a model.py").write_text(BREAKING)
    (tmp_path / "notes.txt").write_text(BREAKING)
    done = commit("graphfix")
    assert done.returncode == 1
    assert "a model.py:6:5: GF301 log-call: keep a log call out of the graph" in done.stderr
    assert "- exit code: 1" in done.stderr
    assert "1 finding in 1 file: 1 GF301" in done.stderr
    assert (tmp_path / "a model.py").read_text() == BREAKING


@pytest.mark.parametrize("hook", ["graphfix", "graphfix-fix"])
@pytest.mark.parametrize("text", [FIXED, SILENCED, "x = 1\n"])
def test_clean_and_silenced_files_pass(commit: Commit, tmp_path: Path, hook: str, text: str) -> None:
    (tmp_path / "model.py").write_text(text)
    done = commit(hook)
    assert done.returncode == 0, done.stderr
    assert "Passed" in done.stderr
    assert (tmp_path / "model.py").read_text() == text


def test_the_fix_fails_the_commit_once_and_passes_then(commit: Commit, tmp_path: Path) -> None:
    for name in ("one.py", "two.py"):
        (tmp_path / name).write_text(BREAKING)
    first = commit("graphfix-fix")
    assert first.returncode == 1
    assert "- files were modified by this hook" in first.stderr
    assert "exit code" not in first.stderr, "the fix itself went well"
    assert [(tmp_path / name).read_text() for name in ("one.py", "two.py")] == [FIXED, FIXED]
    second = commit("graphfix-fix")
    assert second.returncode == 0, second.stderr


def test_what_is_not_staged_stays_as_it_is(commit: Commit, tmp_path: Path, environment: dict[str, str]) -> None:
    for name in ("model.py", "other.py"):
        (tmp_path / name).write_text("x = 1\n")
    assert commit("graphfix-fix").returncode == 0
    for name in ("model.py", "other.py"):
        (tmp_path / name).write_text(BREAKING)
    assert commit("graphfix-fix", "model.py").returncode == 1
    assert [(tmp_path / name).read_text() for name in ("model.py", "other.py")] == [FIXED, BREAKING]
    assert commit("graphfix-fix", "model.py").returncode == 0
    assert (tmp_path / "other.py").read_text() == BREAKING
    assert _git(tmp_path, environment, "status", "--porcelain").stdout == " M other.py\n", "the journal hides itself"


def test_the_hooks_bring_all_they_need_but_torch(commit: Commit, tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "model.py").write_text(FIXED)
    assert commit("graphfix").returncode == 0
    (python,) = Path(environment["PRE_COMMIT_HOME"]).glob("repo*/py_env-*/bin/python")
    script = "import importlib.util as u; print([u.find_spec(n) is not None for n in ('graphfix', 'libcst', 'torch')])"
    done = subprocess.run([python, "-c", script], cwd="/", env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[True, True, False]\n"
    check = subprocess.run([python, "-m", "pip", "check"], env=environment, capture_output=True, text=True)
    missing = [line for line in check.stdout.splitlines() if "requires" in line]
    assert [line.partition("requires ")[2].partition(",")[0] for line in missing] == ["torch"], check.stdout
