"""What is made of a worker's events: which are sites, what belongs to them, in which order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graphfix.model import HIDDEN, Target
from graphfix.scan.observation import Observation
from graphfix.source.sources import Sources

SOURCE = """import torch


def f(x):
    for _ in range(2):
        x = x + x.sum().item()
    x = x * x.max().item()
    return x - x.min().item()
"""


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "model.py"
    path.write_text(SOURCE)
    return str(path)


def frame(path: str, line: int, function: str = "f") -> dict[str, Any]:
    text = SOURCE.splitlines()[line - 1]
    end = text.index(".item()") + len(".item()")
    return {
        "path": path,
        "line": line,
        "function": function,
        "column": text.index("x.", text.index("x") + 1) if "return" not in text else text.index("x.m"),
        "end_line": line,
        "end_column": end,
    }


def broken(path: str, line: int, **changes: Any) -> dict[str, Any]:
    at = frame(path, line)
    event = {
        "event": "break",
        "pass": "explain",
        "id": "GB0124",
        "type": "item",
        "explanation": "",
        "hints": (),
        "consequences": [],
        "hides_rest": False,
        "stack": [at],
        "at": [path, line, at["column"]],
    }
    return {**event, **changes}


def graph(ops: int, ended_by: list[Any] | None, step: str = "explain") -> dict[str, Any]:
    return {"event": "graph", "pass": step, "ops": ops, "ended_by": ended_by}


def observe(*events: dict[str, Any]) -> Observation:
    seen = Observation()
    for event in events:
        seen.add(event)
    return seen


def sites(seen: Observation) -> Any:
    return [site.break_() for site in seen.sites(Sources(), ())]


def test_a_consequence_goes_to_the_break_before_it_in_the_same_function(model: str) -> None:
    resumed = {**frame(model, 8), "function": "torch_dynamo_resume_in_f_at_7"}
    later = broken(model, 8, id="GB7000", stack=[resumed], hides_rest=True)
    (site,) = sites(observe(broken(model, 7), later))
    assert (site.location.line, site.consequences, site.hides_rest) == (7, ("GB7000",), True)


def test_what_dynamo_blames_on_an_earlier_break_is_a_consequence(model: str) -> None:
    hint = "This graph break may have been caused by an earlier graph break. Resolving it may resolve this one."
    (site,) = sites(observe(broken(model, 7), broken(model, 8, id="GB4711", hints=(hint,))))
    assert site.consequences == ("GB4711",)


@pytest.mark.parametrize("first", [{"pass": "compile"}, {"stack": []}], ids=["another step", "another function"])
def test_without_a_cause_a_consequence_is_a_site_of_its_own(model: str, first: dict[str, Any]) -> None:
    found = sites(observe(broken(model, 7, **first), broken(model, 8, id="GB7000")))
    assert "GB7000" in [site.id for site in found]


def test_graphs_are_counted_to_the_break_that_ended_them(model: str) -> None:
    events = [broken(model, line) for line in (6, 7)]
    graphs = [graph(3, events[0]["at"]), graph(1, events[0]["at"]), graph(0, events[1]["at"]), graph(2, None)]
    seen = observe(*events, *graphs, graph(9, None, "compile"), {"event": "explained"})
    assert {site.location.line: site.graphs for site in sites(seen)} == {6: 2, 7: 0}
    report = seen.report(Target("t", "t"), Sources(), ())
    assert (report.graphs, report.ops) == (3, 6)


def test_where_explain_failed_the_graphs_of_all_calls_count(model: str) -> None:
    seen = observe(broken(model, 7), graph(9, None, "compile"))
    assert seen.graphs == 1


def test_the_order_is_what_hides_others_then_graphs_then_loops_then_how_often(model: str) -> None:
    behind = broken(model, 8, **{"pass": HIDDEN})
    often = broken(model, 7)
    in_loop = broken(model, 6)
    assert [site.location.line for site in sites(observe(behind, often, often, in_loop))] == [6, 7, 8]
    costly = graph(1, often["at"])
    assert [site.location.line for site in sites(observe(in_loop, often, costly, {"event": "explained"}))] == [7, 6]
    hiding = {**often, "hides_rest": True}
    assert [site.location.line for site in sites(observe(in_loop, hiding, graph(1, in_loop["at"])))] == [7, 6]


def test_a_site_says_whether_it_stands_in_a_loop_or_is_hidden(model: str) -> None:
    found = sites(observe(broken(model, 6), broken(model, 8, **{"pass": HIDDEN})))
    assert [(site.in_loop, site.hidden) for site in found] == [(True, False), (False, True)]
    seen = observe(broken(model, 6), broken(model, 6, **{"pass": HIDDEN}))
    assert [site.hidden for site in sites(seen)] == [False]


def test_a_skipped_frame_that_a_break_accounts_for_is_not_told_twice(model: str) -> None:
    skip = {"event": "skipped_frame", "function": "f", "path": model, "line": 4, "reason": "an error was suppressed"}
    told = observe(broken(model, 7, hides_rest=True), skip).report(Target("t", "t"), Sources(), ())
    untold = observe(broken(model, 7), {**skip, "function": "g"}).report(Target("t", "t"), Sources(), ())
    assert (len(told.skipped_frames), len(untold.skipped_frames)) == (0, 1)


def test_a_discovery_that_was_cut_is_said(model: str) -> None:
    report = observe({"event": "discovery_cut", "seconds": 30.0}).report(Target("t", "t"), Sources(), ())
    assert report.notes == ("the look behind skipped frames was ended after 30 s; more may be hidden there",)
