"""The JSON report: the fields of schema 1 and no others, so that a reader written today reads it tomorrow."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from graphfix.model import (
    Arm,
    Break,
    Certainty,
    Counts,
    CudagraphSkip,
    Finding,
    Fix,
    FixRecord,
    FixStatus,
    Location,
    Recompile,
    Report,
    Safety,
    SkippedFrame,
    Sync,
    TargetReport,
    Verdict,
)
from graphfix.report import render

WHERE = Location("mask.py", 161, 14, 161, 34)
FIX = Fix("GF101", "keep the tensor", Safety.PROVEN, (), "--- a\n+++ b\n")
BREAK = Break("GB0124", "Tensor.item()", "It reads 長さ.", ("Keep it.",), WHERE, "pad_mask", (), 12, True)
SITE = Finding(WHERE, "GF101", "reads a value", "    max_len = lengths.max().item()", BREAK, FIX)
TARGET = TargetReport(
    "flow",
    "targets.py::flow",
    graphs=32,
    graph_breaks=41,
    ops=512,
    seconds=1.5,
    sites=(SITE,),
    recompiles=(Recompile("f", "size"),),
    cudagraph_skips=(CudagraphSkip("mutated"),),
    syncs=(Sync("a.py", 1, "item"),),
    skipped_frames=(SkippedFrame("f", "a.py", 2, "loop"),),
)
VERDICT = Verdict(
    "flow",
    Counts(32, 41, 3),
    Counts(6, 5, 1),
    True,
    1.2e-7,
    True,
    (Arm("mask.py", 161, (False, True)),),
    3.0,
    "inductor",
    "cpu",
)
REPORT = Report({"graphfix": "0.1.0"}, (TARGET,), (replace(SITE, break_=None, fix=None),))

SITE_FIELDS = [
    "path",
    "line",
    "column",
    "end_line",
    "end_column",
    "function",
    "code",
    "id",
    "type",
    "explanation",
    "hints",
    "seen",
    "graphs",
    "in_loop",
    "hides_rest",
    "hidden",
    "consequences",
    "real",
    "note",
    "rule",
    "fix",
]
FINDING_FIELDS = [*SITE_FIELDS[:5], "function", "code", "rule", "message", "certainty", "fix"]
TARGET_FIELDS = [
    "name",
    "spec",
    "status",
    "error",
    "graphs",
    "graph_breaks",
    "ops",
    "seconds",
    "sites",
    "recompiles",
    "cudagraph_skips",
    "cudagraph_partitions",
    "syncs",
    "skipped_frames",
    "notes",
]
VERDICT_FIELDS = ["before", "after", "eager_identical", "compiled_max_abs_diff", "arms"]
BESIDE_THEM = ["backend", "device", "within_tolerance", "new_breaks", "replays", "verdict", "verdict_error"]


def read(report: Report) -> Any:
    return json.loads(render(report, "json"), parse_constant=refuse)


def refuse(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def test_the_fields_are_exactly_those_of_schema_1() -> None:
    found = read(REPORT)
    target = found["targets"][0]
    assert found["schema"] == 1
    assert set(found) == {"schema", "versions", "targets", "findings", "skipped"}
    assert list(target) == TARGET_FIELDS
    assert list(target["sites"][0]) == SITE_FIELDS
    assert set(target["sites"][0]["fix"]) == {"safety", "title", "diff"}
    assert set(target["recompiles"][0]) == {"function", "reason", "path", "line", "advice", "limit"}
    assert set(target["cudagraph_skips"][0]) == {"reason", "path", "line"}
    assert set(target["syncs"][0]) == {"path", "line", "op"}
    assert set(target["skipped_frames"][0]) == {"function", "path", "line", "reason"}
    assert list(found["findings"][0]) == FINDING_FIELDS


def test_a_site_says_where_what_and_why() -> None:
    assert read(REPORT)["targets"][0]["sites"][0] == {
        "path": "mask.py",
        "line": 161,
        "column": 14,
        "end_line": 161,
        "end_column": 34,
        "function": "pad_mask",
        "code": "    max_len = lengths.max().item()",
        "id": "GB0124",
        "type": "Tensor.item()",
        "explanation": "It reads 長さ.",
        "hints": ["Keep it."],
        "seen": 12,
        "graphs": 0,
        "in_loop": False,
        "hides_rest": True,
        "hidden": False,
        "consequences": [],
        "real": None,
        "note": None,
        "rule": "GF101",
        "fix": {"safety": "proven", "title": "keep the tensor", "diff": "--- a\n+++ b\n"},
    }


def test_a_place_that_nothing_repairs_has_no_fix() -> None:
    assert read(REPORT)["findings"][0]["fix"] is None


def test_a_finding_says_how_sure_it_is_and_where_it_stands() -> None:
    likely = Finding(WHERE, "GF101", "reads a value", "x.item()", certainty=Certainty.LIKELY, function="Net.forward")
    found = read(replace(REPORT, findings=(likely, replace(likely, fix=FIX, certainty=Certainty.CERTAIN, function=""))))
    assert found["findings"] == [
        {
            "path": "mask.py",
            "line": 161,
            "column": 14,
            "end_line": 161,
            "end_column": 34,
            "function": "Net.forward",
            "code": "x.item()",
            "rule": "GF101",
            "message": "reads a value",
            "certainty": "likely",
            "fix": None,
        },
        {
            **found["findings"][0],
            "function": "",
            "certainty": "certain",
            "fix": {"safety": "proven", "title": "keep the tensor", "diff": "--- a\n+++ b\n"},
        },
    ]


def test_apply_adds_the_fixes_and_a_verdict_per_target() -> None:
    kept = FixRecord("GF101", "mask.py", 161, Safety.PROVEN, FixStatus.KEPT, "proven on flow", "diff")
    found = read(replace(REPORT, targets=(replace(TARGET, verdict=VERDICT),), fixes=(kept,), written=("mask.py",)))
    assert found["fixes"] == [
        {
            "rule": "GF101",
            "path": "mask.py",
            "line": 161,
            "safety": "proven",
            "status": "kept",
            "reason": "proven on flow",
            "diff": "diff",
        }
    ]
    assert found["written"] == ["mask.py"]
    target = found["targets"][0]
    assert set(target) == {*TARGET_FIELDS, *VERDICT_FIELDS, *BESIDE_THEM}
    assert target["before"] == {"graphs": 32, "graph_breaks": 41, "sites": 3}
    assert target["after"] == {"graphs": 6, "graph_breaks": 5, "sites": 1}
    assert (target["verdict"], target["eager_identical"], target["compiled_max_abs_diff"]) == ("ok", True, 1.2e-7)
    assert target["arms"] == [{"path": "mask.py", "line": 161, "reached": [False, True], "mutated": [False, False]}]


def test_verify_has_a_verdict_and_no_fixes() -> None:
    failed = replace(VERDICT, eager_identical=False, error="the RNG stream moved")
    found = read(replace(REPORT, targets=(replace(TARGET, verdict=failed),)))
    assert "fixes" not in found
    assert found["targets"][0]["verdict"] == "failed"
    assert found["targets"][0]["verdict_error"] == "the RNG stream moved"


def test_apply_without_a_verdict_says_null() -> None:
    target = read(replace(REPORT, fixes=()))["targets"][0]
    assert {target[name] for name in (*VERDICT_FIELDS, *BESIDE_THEM)} == {None}


def test_numbers_that_json_does_not_have_become_null() -> None:
    for number in (float("nan"), float("inf")):
        bad = replace(VERDICT, compiled_max_abs_diff=number, within_tolerance=False)
        target = read(replace(REPORT, targets=(replace(TARGET, verdict=bad),)))["targets"][0]
        assert (target["compiled_max_abs_diff"], target["within_tolerance"]) == (None, False)


def test_the_text_is_readable_and_any_utf8_stream_takes_it() -> None:
    text = render(replace(REPORT, skipped=(("bad\udce9.py", "unreadable"),)), "json")
    assert "長さ" in text
    assert text.endswith("\n}\n")
    assert json.loads(text.encode("utf-8"))["skipped"] == [{"path": "bad\udce9.py", "reason": "unreadable"}]
