"""What the tests share: graphfix as its users run it, in a process of its own."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """For `--dist loadgroup`: a file's tests share what they made, so they stay together; those of a rule do."""
    for item in items:
        rule = getattr(getattr(item, "callspec", None), "id", "") if item.path.name == "test_rules.py" else ""
        item.add_marker(pytest.mark.xdist_group(f"{item.path.name} {rule}"))


def run_graphfix(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in `cwd` and return the finished process."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-m", "graphfix", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "120", **environment},
        capture_output=True,
        text=True,
        timeout=1200,
    )


@pytest.fixture
def graphfix(tmp_path: Path) -> Run:
    """`graphfix("scan", "model.py")` runs the command in `tmp_path`."""
    return functools.partial(run_graphfix, cwd=tmp_path)


def report(process: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The JSON report on a process's stdout."""
    assert process.stdout, process.stderr
    found: dict[str, Any] = json.loads(process.stdout)
    return found
