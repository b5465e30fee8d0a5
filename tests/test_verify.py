"""`graphfix verify` judges by the four conditions, each of which can fail on its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Run, report

HEAD = "import graphfix, torch, random, time\n\n"
GOOD = "def f(x):\n    return x * 2\n"
CASES = {
    "all is well": (GOOD, 0, "proven", ""),
    "a break stays": ("def f(x):\n    return x * x.sum().item()\n", 1, "ok", ""),
    "nothing is captured": ("def f(x):\n    return x\n", 1, "failed", "no graph was captured"),
    "eager is not repeatable": (
        "def f(x):\n    with torch.random.fork_rng():\n        torch.seed()\n        return x + torch.rand(3)\n",
        1,
        "failed",
        "differs",
    ),
    "compiled is another function": (
        "def f(x):\n    return x + 1 if torch.compiler.is_compiling() else x\n",
        1,
        "failed",
        "output differs by 1",
    ),
    "an argument is written to only when compiled": (
        "def f(x):\n    if torch.compiler.is_compiling():\n        x.add_(1)\n        return x - 1\n    return x * 1\n",
        1,
        "failed",
        "arguments[0][0] differs by 1",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_conditions(graphfix: Run, tmp_path: Path, name: str) -> None:
    function, code, verdict, says = CASES[name]
    calls = "".join(f"    yield graphfix.Call(f, torch.ones({n}))\n" for n in (3, 4))
    if "rand(3)" in function:
        calls = "    yield graphfix.Call(f, torch.ones(3))\n"
    (tmp_path / "t.py").write_text(f"{HEAD}{function}\ndef t():\n{calls}")
    done = graphfix("verify", "t.py::t", "--backend", "aot_eager", "--device", "cpu", "--format", "json")
    (row,) = report(done)["targets"]
    assert done.returncode == code, done.stdout
    assert row["verdict"] == ("ok" if verdict in ("ok", "proven") else "failed")
    assert says in str(row["verdict_error"])
    assert row["backend"] == "aot_eager"


ROUNDS = {
    "all is well, with random numbers": ("def f(x):\n    return x + torch.rand(3)\n", None),
    "a value is baked in": (
        "def f(x):\n    return x * scale(x)\n\n@torch.compiler.assume_constant_result\ndef scale(x):\n"
        "    return float(x.sum())\n",
        "under reduce-overhead, round 2, call 1",
    ),
}


@pytest.mark.parametrize("name", ROUNDS)
def test_compiled_code_must_hold_round_after_round(graphfix: Run, tmp_path: Path, name: str) -> None:
    function, says = ROUNDS[name]
    (tmp_path / "t.py").write_text(f"{HEAD}{function}\ndef t():\n    return graphfix.Call(f, torch.ones(3))\n")
    done = graphfix(
        *("verify", "t.py::t", "--backend", "aot_eager", "--device", "cpu"),
        *("--mode", "reduce-overhead", "--format", "json"),
    )
    (row,) = report(done)["targets"]
    assert row["replays"]["rounds"] == 4
    assert row["replays"]["mode"] == "reduce-overhead"
    assert done.returncode == (1 if says else 0), row
    assert says is None or says in row["verdict_error"]


def test_without_a_mode_there_are_no_rounds_on_the_cpu(graphfix: Run, tmp_path: Path) -> None:
    (tmp_path / "t.py").write_text(f"{HEAD}{GOOD}\ndef t():\n    return graphfix.Call(f, torch.ones(3))\n")
    done = graphfix("verify", "t.py::t", "--backend", "aot_eager", "--device", "cpu", "--format", "json")
    assert report(done)["targets"][0]["replays"] is None


def test_a_lack_of_memory_is_a_verdict(graphfix: Run, tmp_path: Path) -> None:
    function = "def f(x):\n    return x + torch.zeros(2**50)\n"
    (tmp_path / "t.py").write_text(f"{HEAD}{function}\ndef t():\n    return graphfix.Call(f, torch.ones(1))\n")
    done = graphfix("verify", "t.py::t", "--backend", "aot_eager", "--device", "cpu", "--format", "json")
    (row,) = report(done)["targets"]
    assert done.returncode != 0
    assert row["verdict"] == "failed"
    assert "memory" in str(row["verdict_error"])


def test_a_crash_of_the_compiler_is_a_verdict(graphfix: Run, tmp_path: Path) -> None:
    function = "import os\n\ndef f(x):\n    if torch.compiler.is_compiling():\n        die()\n    return x\n\n"
    function += "@torch.compiler.assume_constant_result\ndef die():\n    os.abort()\n"
    (tmp_path / "t.py").write_text(f"{HEAD}{function}\ndef t():\n    return graphfix.Call(f, torch.ones(1))\n")
    done = graphfix("verify", "t.py::t", "--backend", "aot_eager", "--device", "cpu", "--format", "json")
    (row,) = report(done)["targets"]
    assert done.returncode == 2
    assert row["verdict"] == "failed"
    assert "SIGABRT" in str(row["verdict_error"])
