"""The SARIF report: places that a code-scanning page puts exactly where Dynamo pointed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from graphfix.model import (
    Break,
    Certainty,
    Counts,
    Finding,
    Fix,
    Location,
    Report,
    Safety,
    Status,
    TargetReport,
    Verdict,
)
from graphfix.report import render

WHERE = Location("mask.py", 161, 14, 161, 34)
BREAK = Break("GB0124", "Tensor.item()", "It reads a value.", ("Keep it.",), WHERE, "pad_mask")
SITE = Finding(WHERE, "GF101", "", "    max_len = lengths.max().item()", BREAK)
UNRULED = replace(SITE, rule=None)
UNNAMED = replace(SITE, rule=None, break_=replace(BREAK, id=None))
STATIC = Finding(Location("a.py", 3), "GF301", "prints", "    print(x)")


def report(*sites: Finding, **fields: Any) -> Report:
    target = TargetReport("flow", "t.py::flow", **{"graphs": 2, **fields}, sites=sites)
    return Report({"graphfix": "0.1.0", "torch": "2.8.0"}, (target,))


def run(of: Report, **options: Any) -> Any:
    log = json.loads(render(of, "sarif", **options))
    assert log["version"] == "2.1.0"
    assert len(log["runs"]) == 1
    return log["runs"][0]


def physical(of: Report) -> Any:
    return run(of)["results"][0]["locations"][0]["physicalLocation"]


def test_columns_count_from_one_in_utf16_code_units_and_the_run_says_so() -> None:
    assert physical(report(SITE))["region"] == {"startLine": 161, "endLine": 161, "startColumn": 15, "endColumn": 35}
    assert run(report(SITE))["columnKind"] == "utf16CodeUnits"
    code = "s = '😀é😀', n.item()"
    wide = replace(STATIC, code=code, location=Location("a.py", 3, code.index("n.item"), 3, len(code)))
    region = physical(replace(report(), findings=(wide,)))["region"]
    line = code.encode("utf-16-le")
    assert line[2 * (region["startColumn"] - 1) : 2 * (region["endColumn"] - 1)].decode("utf-16-le") == "n.item()"


def test_a_span_over_lines_ends_with_its_last_line() -> None:
    tall = replace(STATIC, location=Location("a.py", 3, 4, 5, 2))
    assert physical(replace(report(), findings=(tall,)))["region"] == {"startLine": 3, "startColumn": 5, "endLine": 5}


def test_a_span_without_columns_is_the_whole_line() -> None:
    assert physical(replace(report(), findings=(STATIC,)))["region"] == {"startLine": 3}


def test_a_start_without_an_end_reaches_to_the_end_of_its_line() -> None:
    open_ended = replace(STATIC, location=Location("a.py", 3, 4))
    assert physical(replace(report(), findings=(open_ended,)))["region"] == {"startLine": 3, "startColumn": 5}


def test_a_place_without_a_line_is_the_whole_file() -> None:
    nowhere = replace(STATIC, location=Location("a.py", 0))
    assert physical(replace(report(), findings=(nowhere,))) == {
        "artifactLocation": {"uri": "a.py", "uriBaseId": "%SRCROOT%"}
    }


def test_a_result_is_named_after_its_rule_else_the_break_else_the_fact() -> None:
    found = run(replace(report(SITE, UNRULED, UNNAMED, SITE), findings=(STATIC,)))
    names = ["GF101", "GB0124", "graph-break", "GF101", "GF301"]
    assert [result["ruleId"] for result in found["results"]] == names
    assert {result["level"] for result in found["results"]} == {"warning"}
    rules = found["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["GF101", "GB0124", "graph-break", "GF301"]
    assert [rules[result["ruleIndex"]]["id"] for result in found["results"]] == names
    assert found["tool"]["driver"]["version"] == "0.1.0"


def test_a_result_says_why_and_where_in_the_program() -> None:
    result = run(report(SITE))["results"][0]
    assert result["message"]["text"] == "Tensor.item()\nIt reads a value."
    assert result["locations"][0]["logicalLocations"] == [{"fullyQualifiedName": "pad_mask", "kind": "function"}]
    assert result["properties"] == {"target": "flow", "id": "GB0124", "seen": 1, "graphs": 0, "hides_rest": False}


def test_a_message_is_never_empty() -> None:
    silent = Finding(Location("a.py", 3), "GF301", "")
    assert run(replace(report(), findings=(silent,)))["results"][0]["message"]["text"] == "GF301"


def test_rules_carry_the_words_that_explain_them() -> None:
    rules = run(report(SITE, UNRULED), explain_rule=lambda code: f"# About {code}")["tool"]["driver"]["rules"]
    assert rules[0]["help"] == {"text": "# About GF101", "markdown": "# About GF101"}
    assert rules[1]["help"] == {"text": "Keep it."}


def test_a_fix_names_its_rule_and_its_safety() -> None:
    fix = Fix("GF101", "keep the tensor", Safety.PROVEN, (), "")
    found = run(report(replace(SITE, fix=fix)))
    assert found["tool"]["driver"]["rules"][0]["shortDescription"] == {"text": "keep the tensor"}
    assert found["results"][0]["properties"]["fix"] == "proven"


def test_files_are_uris_relative_to_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, outside = tmp_path / "in side", tmp_path / "site-packages" / "a b.py"
    inside.mkdir()
    monkeypatch.chdir(inside)

    def uri(path: object) -> str:
        moved = replace(SITE, location=Location(str(path), 3))
        return str(physical(report(moved))["artifactLocation"]["uri"])

    assert uri(inside / "pkg" / "é 100%.py") == "pkg/%C3%A9%20100%25.py"
    assert uri("a:b.py") == "a%3Ab.py"
    assert uri(outside) == outside.as_uri()
    assert uri(outside).startswith("file:///")


def test_a_target_that_failed_is_a_notification_and_not_a_result() -> None:
    found = run(report(SITE, status=Status.CRASH, error="killed by signal 9"))
    invocation = found["invocations"][0]
    assert invocation["executionSuccessful"] is False
    note = {"level": "error", "message": {"text": "flow: crash: killed by signal 9"}}
    assert invocation["toolExecutionNotifications"] == [note]
    assert len(found["results"]) == 1


def test_no_graph_and_a_failed_verdict_are_notifications_too() -> None:
    counts = Counts(1, 0, 0)
    failed = Verdict("flow", counts, counts, False, None, True, (), 1.0, "inductor", "cpu")
    notes = run(report(graphs=0, verdict=failed))["invocations"][0]["toolExecutionNotifications"]
    assert [(note["level"], note["message"]["text"]) for note in notes] == [
        ("warning", "flow: no graph was captured: this is not clean"),
        ("error", "flow: not proven: eager results differ"),
    ]


def test_a_skipped_file_is_a_notification_with_its_place() -> None:
    found = run(replace(report(), skipped=(("bad.py", "invalid syntax"),)))["invocations"][0]
    assert found["executionSuccessful"] is True
    assert found["toolExecutionNotifications"] == [
        {
            "level": "warning",
            "message": {"text": "skipped: invalid syntax"},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": "bad.py", "uriBaseId": "%SRCROOT%"}}}],
        }
    ]


def test_what_is_only_likely_is_a_note() -> None:
    likely = replace(STATIC, certainty=Certainty.LIKELY, function="Net.forward")
    certain, note = run(replace(report(), findings=(STATIC, likely)))["results"]
    assert (certain["level"], note["level"]) == ("warning", "note")
    assert [one["properties"]["certainty"] for one in (certain, note)] == ["certain", "likely"]
    assert note["locations"][0]["logicalLocations"] == [{"fullyQualifiedName": "Net.forward", "kind": "function"}]
    assert "logicalLocations" not in certain["locations"][0]


def test_a_rule_is_described_by_its_own_words() -> None:
    words = "What it does:\n    Keeps a call\n    out of the graph.\n\nSafety:\n    Exact.\n"
    (rule,) = run(replace(report(), findings=(STATIC,)), explain_rule=lambda code: words)["tool"]["driver"]["rules"]
    assert rule["fullDescription"] == {"text": "Keeps a call out of the graph."}
    assert rule["defaultConfiguration"] == {"level": "warning"}


def test_a_fingerprint_outlives_other_lines_and_tells_twins_apart() -> None:
    def prints(*findings: Finding) -> list[str]:
        results = run(replace(report(), findings=findings))["results"]
        return [result["partialFingerprints"]["graphfix/v1"] for result in results]

    twins = prints(STATIC, replace(STATIC, location=Location("a.py", 9)))
    assert twins == prints(
        replace(STATIC, location=Location("a.py", 30)), replace(STATIC, location=Location("a.py", 39))
    )
    others = (replace(STATIC, rule="GF302"), replace(STATIC, code="print(y)"), replace(STATIC, function="f"))
    moved = replace(STATIC, location=Location("b.py", 3))
    assert len({*twins, *prints(*others, moved)}) == 6


def test_relative_uris_have_a_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "ä b"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert run(report(SITE))["originalUriBaseIds"] == {"%SRCROOT%": {"uri": f"{tmp_path.as_uri()}/%C3%A4%20b/"}}
    assert physical(report(SITE))["artifactLocation"]["uriBaseId"] == "%SRCROOT%"
    outside = replace(SITE, location=Location("/opt/a.py", 3))
    assert physical(report(outside))["artifactLocation"] == {"uri": "file:///opt/a.py"}
