"""`graphfix bench`: the arms take turns, each with caches of its own, and say what they cost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Run, report

pytestmark = pytest.mark.torch

MODEL = """
import graphfix, torch
from torch import nn


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.eye(8))

    def forward(self, x):
        return x @ self.weight


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = Layer()

    def forward(self, x):
        y = self.layer(x)
        if y.sum().item() > 1e9:
            y = y + 1
        return y + torch.randn_like(y)


def net():
    model = Net().eval().requires_grad_(False)
    for count in (4, 6):
        yield graphfix.Call(model, torch.randn(count, 8))
"""
QUICK = ("--device", "cpu", "--backend", "aot_eager", "--rounds", "2")


@pytest.fixture
def overlay(tmp_path: Path, graphfix: Run) -> Path:
    (tmp_path / "t.py").write_text(MODEL)
    from graphfix.prove import overlay
    from graphfix.source.sources import Sources

    patched = MODEL.replace("if y.sum().item() > 1e9:\n            y = y + 1", "y = y + 0")
    place = tmp_path / "fixes"
    overlay.save(Sources({str(tmp_path / "t.py"): patched}), place)
    manifest = json.loads((place / "graphfix.json").read_text())
    manifest["files"][0] |= {"name": "t.py", "home": "project"}
    (place / "graphfix.json").write_text(json.dumps(manifest))
    return place


def test_arms_are_timed_in_one_run(graphfix: Run, tmp_path: Path, overlay: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(
        json.dumps({"targets": [{"name": "net", "plan": {"code": ['model.layer.compile(backend="eager")']}}]})
    )
    more = ("--overlay", str(overlay), "--plan", "plan.json", "--calls", "2", "--no-warm", "--format", "json")
    done = graphfix("bench", "t.py::net", *QUICK, *more)
    assert done.returncode == 0, done.stderr
    found = report(done)
    (row,) = found["targets"]
    arms = {arm["name"]: arm for arm in row["arms"]}
    assert list(arms) == ["eager", "as is", "fixed", "plan"]
    assert (found["schema"], found["backend"], found["versions"]["device"]) == (1, "aot_eager", "cpu")
    assert row["draws_random_numbers"]
    # Two calls: the second, of another shape, is compiled again.
    assert (arms["fixed"]["graphs"], arms["plan"]["graphs"]) == (2, 2)
    assert arms["as is"]["graphs"] > 2
    assert arms["fixed"]["recompiles"] == 1
    for name, arm in arms.items():
        assert arm["error"] is None
        assert len(arm["calls"]) == 2
        for call in arm["calls"]:
            assert call["median"] > 0
            assert len(call["runs"]) >= 2
            assert call["kernels"] is call["replays"] is call["syncs"] is None  # counted on CUDA only
        if name != "eager":
            assert arm["difference"] is None, "with random numbers as eager draws them, results agree"
            assert arm["calls"][0]["first"] > arm["calls"][0]["median"]


def test_an_arm_that_fails_does_not_end_the_others(graphfix: Run, tmp_path: Path) -> None:
    (tmp_path / "t.py").write_text(
        "import os, graphfix, torch\n\n"
        "def f(x):\n    if torch.compiler.is_compiling():\n        os._exit(3)\n    return x * 2\n\n"
        "def t():\n    return graphfix.Call(f, torch.ones(3))\n"
    )
    (tmp_path / "plan.json").write_text(
        json.dumps({"targets": [{"name": "t", "plan": {"code": ["raise MemoryError('too large')"]}}]})
    )
    done = graphfix(
        "bench", "t.py::t", *QUICK, "--no-warm", "--plan", "plan.json", "--output", "b.html", "--format", "html"
    )
    assert done.returncode == 2
    page = (tmp_path / "b.html").read_text()
    assert "too large" in page
    assert page.count("<svg") == 2
    assert "http://www.w3.org/2000/svg" in page
    assert "<script" not in page
    assert "src=" not in page


def test_text_says_what_each_arm_cost(graphfix: Run, tmp_path: Path) -> None:
    (tmp_path / "t.py").write_text(MODEL)
    done = graphfix("bench", "t.py::net", *QUICK)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[1].split()[:4] == ["arm", "graphs", "first", "warm"]
    assert lines[2].split()[0] == "eager"
    assert lines[3].split()[:3] == ["as", "is", "2"]
    assert lines[3].split()[5] != "–", "the first run with full caches"
    assert "drawn as eager draws them" in done.stdout


def test_an_unknown_mode_is_refused(graphfix: Run, tmp_path: Path) -> None:
    (tmp_path / "t.py").write_text(MODEL)
    done = graphfix("bench", "t.py::net", "--mode", "fast")
    assert done.returncode == 2
    assert "choose one of: default" in done.stderr


def test_a_plan_that_is_none_is_refused(graphfix: Run, tmp_path: Path) -> None:
    (tmp_path / "t.py").write_text(MODEL)
    (tmp_path / "plan.json").write_text("{}")
    done = graphfix("bench", "t.py::net", "--plan", "plan.json")
    assert done.returncode == 2
    assert "is no plan" in done.stderr
