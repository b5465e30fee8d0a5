"""`graphfix apply` on a small project: proven fixes only, written once, where the user said, and taken back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, Run, report

from graphfix.apply.repair import Policy, Repair
from graphfix.model import FixStatus, Safety, Target
from graphfix.rule import Rewrite, Rule, Site
from graphfix.scan.dynamic import Options
from graphfix.source.module import Module

MODEL = '''"""A model with breaks, the last of which no safe rule repairs."""

import logging

import torch

logger = logging.getLogger(__name__)


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if (x > 9).any():
            logger.error("large: %s", x.max().item())  # never mind
        y = self.linear(x)
        bad = y < 0
        if bad.any():
            y[bad] = 0.0
        return y * float(repr(y.sum().item()))
'''
TARGETS = """
import graphfix, torch
from model import Model

@graphfix.target
def model():
    made = Model().requires_grad_(False)
    yield graphfix.Call(made, torch.randn(2, 4))
    yield graphfix.Call(made, torch.randn(3, 4) + 10)
"""
FAST = ("--backend", "aot_eager", "--device", "cpu")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text("[tool.graphfix.targets]\nmodel = 'targets.py::model'\n")
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "targets.py").write_text(TARGETS)
    return tmp_path


def test_fixes_are_proven_and_written_and_taken_back(graphfix: Run, project: Path) -> None:
    done = graphfix("apply", "model", "--format", "json", *FAST)
    found = report(done)
    (row,) = found["targets"]
    assert done.returncode == 1, "some places stay, and that is said"
    assert [fix["rule"] for fix in found["fixes"] if fix["status"] == "kept"] == ["GF202", "GF201"]
    assert (row["before"]["sites"], row["after"]["sites"]) == (6, 2)
    assert row["after"]["graphs"] < row["before"]["graphs"]
    assert row["eager_identical"] is True
    assert row["compiled_max_abs_diff"] <= 1e-5
    arm = {"path": str(project / "model.py"), "line": 20, "reached": [True, True], "mutated": [False, True]}
    assert row["arms"] == [arm]
    assert found["written"] == [str(project / "model.py")]
    fixed = (project / "model.py").read_text()
    assert "if not torch.compiler.is_compiling() and (x > 9).any():" in fixed
    assert "        bad = y < 0\n        y[bad] = 0.0\n" in fixed
    assert graphfix("undo").returncode == 0
    assert (project / "model.py").read_text() == MODEL


def test_diff_and_check_write_nothing(graphfix: Run, project: Path) -> None:
    done = graphfix("apply", "model", "--diff", *FAST)
    assert done.returncode == 1
    assert "-        if bad.any():" in done.stdout
    assert "kept GF201" in done.stderr
    assert (project / "model.py").read_text() == MODEL
    subprocess.run(["git", "apply", "--check", "-"], input=done.stdout, cwd=project, text=True, check=True)
    check = graphfix("apply", "model", "--check", "--select", "GF202", *FAST)
    assert check.returncode == 1
    assert (project / "model.py").read_text() == MODEL


def test_code_outside_the_project_goes_to_an_overlay(graphfix: Run, project: Path, tmp_path: Path) -> None:
    home = tmp_path / "installed"
    package = home / "thepackage"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (project / "model.py").rename(package / "model.py")
    work = tmp_path / "work"
    work.mkdir()
    (work / "targets.py").write_text(TARGETS.replace("from model", "from thepackage.model"))
    (work / "pyproject.toml").write_text("")
    path = f"{ROOT}:{home}"
    refused = graphfix("apply", "targets.py", "--scope", "thepackage", cwd=work, PYTHONPATH=path)
    assert refused.returncode == 2
    assert "outside the project" in refused.stderr
    unscoped = graphfix("apply", "targets.py", "--format", "json", *FAST, cwd=work, PYTHONPATH=path)
    assert {fix["status"] for fix in report(unscoped)["fixes"]} == {"skipped"}
    arguments = ("apply", "targets.py", "--scope", "thepackage", "--overlay", "fixed", *FAST)
    assert graphfix(*arguments, cwd=work, PYTHONPATH=path).returncode == 1
    assert (package / "model.py").read_text() == MODEL
    assert json.loads((work / "fixed" / "graphfix.json").read_text())["files"][0]["path"] == "thepackage/model.py"
    judged = graphfix(
        "verify", "targets.py", "--overlay", "fixed", "--format", "json", *FAST, cwd=work, PYTHONPATH=path
    )
    (row,) = report(judged)["targets"]
    assert (row["before"]["sites"], row["after"]["sites"], row["eager_identical"]) == (3, 2, True)
    (work / "script.py").write_text(
        "import inspect, thepackage.model as m\nprint('is_compiling' in inspect.getsource(m))\n"
    )
    ran = graphfix("run", "--overlay", "fixed", "script.py", cwd=work, PYTHONPATH=path)
    assert ran.stdout == "True\n"


def test_statements_that_look_alike_are_all_repaired(graphfix: Run, tmp_path: Path) -> None:
    (tmp_path / "twins.py").write_text(
        "import graphfix, torch\n\n"
        "def f(x):\n"
        "    print('here')\n    x = x + 1\n    print('here')\n    x = x * 2\n    print('here')\n    return x\n\n"
        "@graphfix.target\ndef t():\n    yield graphfix.Call(f, torch.ones(3))\n"
    )
    found = report(graphfix("apply", "twins.py", "--check", "--format", "json", *FAST))
    assert [fix["status"] for fix in found["fixes"]] == ["kept"] * 3
    assert found["targets"][0]["after"] == {"graphs": 1, "graph_breaks": 0, "sites": 0}


class _Wrong(Rule):
    """A rule whose rewrite removes the break and changes the result."""

    code, name, title, safety = "GF999", "wrong-rule", "be wrong", Safety.EXACT
    repairs = frozenset({"GB0124", "GB0170"})
    template = "1.0"

    def find(self, module: Module) -> Iterator[Site]:
        yield from ()

    def rewrite(self, site: Site) -> Rewrite | None:
        if not site.module.segment(site.node).endswith("y.sum().item()"):
            return None
        return site.replace(site.node, self.template)


class _Useless(_Wrong):
    """A rule whose rewrite keeps the break."""

    code = "GF998"
    template = "float({torch}.tensor(1.0).new_ones(()))"

    def rewrite(self, site: Site) -> Rewrite | None:
        segment = site.module.segment(site.node)
        return site.replace(site.node, "y.sum(dim=None).item()") if segment == "y.sum().item()" else None


@pytest.mark.parametrize(
    ("rule", "reason"), [(_Wrong(), "call 1: output differs"), (_Useless(), "the rewritten code breaks too")]
)
def test_wrong_fixes_are_rejected_with_the_reason(
    project: Path, monkeypatch: pytest.MonkeyPatch, rule: Rule, reason: str
) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    repair = Repair(Options([rule], device="cpu"), Policy((project,), "aot_eager"), lambda name, step: None)
    repair.run([Target("targets.py::model", "model")])
    (record,) = repair.records
    assert (record.status, repair.sources.patched) == (FixStatus.REJECTED, {})
    assert reason in record.reason


def test_the_parent_never_imports_torch(project: Path) -> None:
    script = (
        "import sys; sys.argv = ['graphfix', 'apply', 'model', '--check', '--backend', 'aot_eager']\n"
        "from graphfix.cli import _guarded, app\n"
        "_guarded(lambda: app(standalone_mode=False))\n"
        "sys.exit(7 if 'torch' in sys.modules else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=project, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}, timeout=600
    )
    assert done.returncode == 0
