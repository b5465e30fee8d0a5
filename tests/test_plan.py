"""`graphfix plan`: the methods that a target really runs, which of them to compile, and the proof of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Run, report

pytestmark = pytest.mark.torch

MODEL = """
import graphfix, os, torch
from torch import nn


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.eye(64))

    def forward(self, x):
        for _ in range(2):
            x = torch.sin(x) * torch.cos(x) + torch.tanh(x) * 0.5
        return x + x @ self.weight


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block() for _ in range(4)])

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x


class Flow(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = Net()
        self.last = Block()

    def solve(self, x):
        for _ in range(5):
            x = 0.1 * self.net.forward(x)
        return x

    def inference(self, x):
        x = self.solve(x)
        if x.sum().item() > 1e9:
            raise ValueError("too large")
        return self.last(x)


def flow():
    model = Flow().eval().requires_grad_(False)
    for count in (300, 400):
        yield graphfix.Call(model.inference, torch.randn(count, 64))
"""


def test_the_loop_body_is_planned_and_proven(graphfix: Run, tmp_path: Path) -> None:
    (tmp_path / "t.py").write_text(MODEL)
    done = graphfix("plan", "t.py::flow", "--device", "cpu", "--rounds", "2", "--least-gain", "0", "--format", "json")
    (row,) = report(done)["targets"]
    assert row["status"] == "ok", row["error"]
    seen = {one["name"]: one for one in row["candidates"]}
    assert not seen["model.inference"]["whole"]
    assert "loop over model.net (5 runs) would be unrolled" in seen["model.inference"]["reason"]
    assert seen["model.net"]["whole"]
    assert seen["model.net"]["calls"] == 5
    assert 0.5 < seen["model.net"]["share"] <= 1
    first = row["plan"]["code"]
    assert "model.net.blocks[0]" in first[0], "the block of which there are four is compiled once"
    # `forward` is called by name, so that a module's own compile() would change nothing.
    assert first[1] == 'model.net.forward = torch.compile(model.net.forward, mode="reduce-overhead")'
    assert row["plan"]["imports"] == ["import torch"]
    assert row["plan"]["names"]["model"] == "the Flow of Flow.inference"
    assert row["proven"], row
    assert row["difference"] is None
    region = row["plan"]["regions"][0]
    assert region["first"] > region["compiled"] > 0
    assert row["compiled"] > 0


LOOP = "        for block in self.blocks:\n            x = block(x)\n"
BREAK = "            if x.sum().item() > 1e9:\n                x = -x\n"


def test_repeated_blocks_are_planned_where_what_holds_them_breaks(graphfix: Run, tmp_path: Path) -> None:
    (tmp_path / "t.py").write_text(MODEL.replace(LOOP, LOOP + BREAK))
    look = _looked(tmp_path)
    names = [region["name"] for region in look["regions"]]
    assert names[0] == "Block ×4 in model.net.blocks"
    assert look["regions"][0]["code"]["default"] == [
        "for module in model.net.blocks.modules():",
        '    if type(module).__name__ == "Block":',
        "        module.compile()",
    ]


def test_what_is_to_be_avoided_is_cut_around(tmp_path: Path) -> None:
    (tmp_path / "t.py").write_text(MODEL)
    names = [region["name"] for region in _looked(tmp_path, avoid=["model.net"])["regions"]]
    assert names[0] == "Block ×4 in model.net.blocks"


def test_what_an_earlier_look_found_is_not_captured_again(tmp_path: Path) -> None:
    (tmp_path / "t.py").write_text(MODEL)
    seen = {"graphs": 1, "breaks": 0, "ops": 1, "capture_seconds": 1.0}
    known = {"model.net": {**seen, "reason": None, "nested": ["made up"]}, "model.last": {**seen, "reason": "made up"}}
    (region,) = _looked(tmp_path, known=known)["regions"]
    assert (region["name"], region["nested"]) == ("model.net", ["made up"])


def test_a_region_that_kills_the_compiler_is_cut_around(tmp_path: Path) -> None:
    from graphfix.model import Target
    from graphfix.prove.plan import Search, Wanted
    from graphfix.scan.dynamic import Options

    crashing = MODEL.replace(LOOP, "        if torch.compiler.is_compiling():\n            die()\n" + LOOP)
    crashing += "\n\n@torch.compiler.assume_constant_result\ndef die():\n    os.abort()\n"
    (tmp_path / "t.py").write_text(crashing)
    target, options = Target(f"{tmp_path / 't.py'}::flow", "flow"), Options((), device="cpu")
    search = Search(target, {}, Wanted("default", 2, nested=False), options, lambda step: None)
    assert search.look() is None
    assert search.looked is None, "the first look died"
    assert search.avoid == {"model.net"}
    assert "model.net is cut around: the worker process was killed by SIGABRT" in search.notes[0]
    assert search.look() is None
    assert search.looked is not None
    reasons = {one.name: one.reason for one in search.looked[1]}
    assert reasons["model.net"] == "it fails in the compiler, so it is cut around"
    assert reasons["Block ×4 in model.net.blocks"] is None


def test_only_what_is_in_doubt_is_tried_again_until_the_whole_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    from graphfix.measured import TargetPlan
    from graphfix.model import Target
    from graphfix.prove.plan import Search, Wanted
    from graphfix.scan.dynamic import Options

    parts = {"a": [], "b": ["b.x", "b.y"], "b.x": [], "b.y": []}
    tried: list[list[str]] = []

    def chosen(search: Search, names: list[str]) -> list[str]:
        return [one for name in names for one in (chosen(search, parts[name]) if name in search.avoid else [name])]

    def look(search: Search) -> None:
        regions = [{"name": name, "nested": [], "calls": 1} for name in chosen(search, ["a", "b"])]
        search.looked = SimpleNamespace(facts={"regions": {"regions": regions, "names": {}}}), []  # type: ignore

    def attempt(search: Search, regions: list[dict]) -> tuple[TargetPlan, bool]:
        tried.append([region["name"] for region in regions])
        bad = next((name for name in tried[-1] if name in ("b", "b.x")), None)
        plan = TargetPlan("t", "t", error=bad and "it failed")
        return plan, bad is not None and search._blame(bad, "it failed", regions)

    monkeypatch.setattr(Search, "look", look)
    monkeypatch.setattr(Search, "_try", attempt)
    told: list[str] = []
    search = Search(Target("t", "t"), {}, Wanted("default", 2, nested=False), Options(()), told.append)
    assert search.run().error is None
    assert tried == [["a", "b"], ["b.x", "b.y"], ["a", "b.y"]]
    assert search.notes == ["b is cut around: it failed", "b.x is cut around: it failed"]
    assert set(search.notes) <= set(told)


def test_a_failure_that_nested_blocks_have_no_part_in_is_learnt() -> None:
    from graphfix.model import Target
    from graphfix.prove.plan import Search, Wanted
    from graphfix.scan.dynamic import Options

    search = Search(Target("t", "t"), {}, Wanted("default", 2, nested=True), Options(()), lambda step: None)
    whole, part, other = ({"name": name, "nested": ["block"], "calls": 1} for name in ("a", "a.x", "b"))
    assert search._blame("a", "hard\nwith details", [whole])
    assert search.plain == {"a"}
    assert search._blame("a", "hard\nwith other details", [whole])
    assert search.avoid == {"a"}
    assert search._blame("a.x", "hard", [part])
    assert search.avoid == {"a", "a.x"}, "its block is not tried without nesting"
    assert search._blame("b", "something else", [other])
    assert search.plain == {"a", "b"}


def test_a_function_that_is_no_method_can_be_a_region(tmp_path: Path) -> None:
    (tmp_path / "t.py").write_text(
        MODEL + "\n\nnet = Net().eval().requires_grad_(False)\n\n\ndef whole(x):\n    return net(x) + 1\n\n\n"
        "def flow():\n    return graphfix.Call(whole, torch.randn(30, 64))\n"
    )
    (region,) = _looked(tmp_path)["regions"]
    assert region["code"]["default"] == ["whole = torch.compile(whole)"]


def test_inference_mode_stays_outside_of_the_region(tmp_path: Path) -> None:
    (tmp_path / "t.py").write_text(
        MODEL.replace(
            "    def forward(self, x):\n        for block",
            "    @torch.inference_mode()\n    def forward(self, x):\n        for block",
        )
    )
    region = _looked(tmp_path)["regions"][0]
    assert region["code"]["default"] == [
        "model.net.forward = torch.inference_mode()(torch.compile("
        "inspect.unwrap(type(model.net).forward).__get__(model.net)))"
    ]


def _looked(folder: Path, avoid: list[str] | None = None, known: dict | None = None) -> dict:
    """What the first step of a plan finds, in a worker of its own."""
    from graphfix.model import Target
    from graphfix.scan.dynamic import Options, make_job, observe

    step = {"step": "look", "avoid": avoid or [], "known": known or {}, "modes": ["default"]}
    options = Options((), device="cpu")
    job = make_job(Target(f"{folder / 't.py'}::flow", "flow"), options, plan=step)
    seen = observe([job], options, lambda text: None)
    assert seen.error is None
    return dict(json.loads(json.dumps(seen.facts["regions"])))


def test_the_report_says_where_the_host_waits() -> None:
    from graphfix.measured import Plans, Region, TargetPlan
    from graphfix.prove.plan import _waits
    from graphfix.report import plan as shown

    outside = {"event": "sync", "path": "/lib/site-packages/net/flow.py", "line": 7, "op": "x.item()", "region": None}
    inside = {**outside, "line": 9, "op": "cudaMemcpy (in the compiled graph)", "region": "model.net"}
    waits = _waits([outside, inside, outside])
    region = Region("model.net", "default", 1, 0.9, ("model.net.compile()",))
    plan = TargetPlan("t", "t.py::t", regions=(region,), eager=2.0, compiled=1.0, first=3.0, waits=waits)
    text = shown.text(Plans({}, [plan]))
    assert "the host waits 2 times, outside of the regions: net/flow.py:7: x.item()\n" in text
    assert "the host waits, in model.net: net/flow.py:9: cudaMemcpy (in the compiled graph)\n" in text
    assert [one["count"] for one in shown.document(Plans({}, [plan]))["targets"][0]["waits"]] == [2, 1]
