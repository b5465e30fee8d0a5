"""What only a GPU shows: CUDA graphs that are replayed, left out or waited for. Skipped where torch sees none."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Run, report

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.torch, pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")]

HEAD = "import graphfix, torch\n\n"
CALLS = "\ndef t():\n    for n in (64, 96):\n        yield graphfix.Call(f, torch.ones(n, 8))\n"
GOOD = "def f(x):\n    return torch.sin(x) * 2 + torch.rand_like(x)\n"


def written(folder: Path, function: str) -> None:
    (folder / "t.py").write_text(HEAD + function + CALLS)


def test_replays_with_random_numbers_agree_with_eager(graphfix: Run, tmp_path: Path) -> None:
    written(tmp_path, GOOD)
    done = graphfix("verify", "t.py::t", "--device", "cuda", "--format", "json")
    (row,) = report(done)["targets"]
    assert done.returncode == 0, row["verdict_error"]
    assert (row["replays"]["mode"], row["replays"]["skips"], row["replays"]["syncs"]) == ("reduce-overhead", 0, 0)
    assert row["replays"]["difference"] is None


def test_a_part_on_the_cpu_runs_without_a_cuda_graph(graphfix: Run, tmp_path: Path) -> None:
    written(tmp_path, "def f(x):\n    return x * 2 + x.cpu().sum().to(x.device)\n")
    done = graphfix("verify", "t.py::t", "--device", "cuda", "--format", "json")
    (row,) = report(done)["targets"]
    assert done.returncode == 1
    assert row["verdict"] == "failed"
    assert row["replays"]["skips"] + row["replays"]["syncs"] > 0


def test_a_lack_of_memory_is_a_verdict(graphfix: Run, tmp_path: Path) -> None:
    written(tmp_path, "def f(x):\n    return x.sum() + torch.zeros(2**48, device=x.device)\n")
    done = graphfix("verify", "t.py::t", "--device", "cuda", "--format", "json")
    (row,) = report(done)["targets"]
    assert row["verdict"] == "failed"
    assert "memory" in row["verdict_error"]


def test_bench_counts_launches_and_replays(graphfix: Run, tmp_path: Path) -> None:
    written(tmp_path, "def f(x):\n    return torch.sin(x) @ torch.cos(x).T\n")
    modes = ("--mode", "default", "--mode", "reduce-overhead")
    done = graphfix("bench", "t.py::t", "--device", "cuda", "--rounds", "2", "--no-warm", *modes, "--format", "json")
    (row,) = report(done)["targets"]
    arms = {arm["name"]: arm["calls"][0] for arm in row["arms"]}
    assert arms["eager"]["launches"] >= 3
    assert arms["eager"]["replays"] == arms["as is"]["replays"] == 0
    assert arms["as is, reduce-overhead"]["replays"] == 1
    assert arms["as is, reduce-overhead"]["syncs"] == 0
    assert all(arm["peak_memory"] > 0 for arm in row["arms"])


def test_a_plan_says_where_the_host_waits(graphfix: Run, tmp_path: Path) -> None:
    net = "class Net(torch.nn.Module):\n    def forward(self, x):\n        return torch.sin(x) @ torch.cos(x).T\n\n\n"
    written(tmp_path, net + "net = Net()\n\n\ndef f(x):\n    y = net(x)\n    return y / y.max().item()\n")
    done = graphfix("plan", "t.py::t", "--device", "cuda", "--rounds", "2", "--least-gain", "0", "--format", "json")
    (row,) = report(done)["targets"]
    assert row["proven"], row
    (wait,) = row["waits"]
    assert (wait["line"], wait["region"], wait["count"]) == (13, None, 1)
    assert "item" in wait["op"]


def test_tensors_that_every_call_copies_from_the_host_are_repaired(graphfix: Run, tmp_path: Path) -> None:
    net = (
        "class Net(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.scale = torch.arange(8.0)\n\n    def forward(self, x):\n"
        "        return x * self.scale.to(x.device) + torch.ones(8).to(x.device)\n\n\nf = Net()\n"
    )
    written(tmp_path, net)
    done = graphfix("apply", "t.py::t", "--device", "cuda", "--allow-dirty", "--format", "json")
    found = report(done)
    assert [fix["rule"] for fix in found["fixes"] if fix["status"] == "kept"] == ["GF703", "GF704"], found["fixes"]
    text = (tmp_path / "t.py").read_text()
    assert 'self.register_buffer("scale", torch.arange(8.0), persistent=False)' in text
    assert "torch.ones(8, device=x.device)" in text
    done = graphfix("verify", "t.py::t", "--device", "cuda", "--format", "json")
    (row,) = report(done)["targets"]
    assert (done.returncode, row["replays"]["skips"], row["replays"]["syncs"]) == (0, 0, 0)
