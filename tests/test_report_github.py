"""The GitHub report: workflow commands that no path, message or line of code can break out of."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

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
BREAK = Break("GB0124", "Tensor.item()", "It reads a value.", (), WHERE, "pad_mask")
SITE = Finding(WHERE, "GF101", "", "    max_len = lengths.max().item()", BREAK)


def commands(*sites: Finding, **fields: Any) -> list[str]:
    target = TargetReport("flow", "t.py::flow", **{"graphs": 2, **fields}, sites=sites)
    return render(Report({}, (target,)), "github").splitlines()


def parse(command: str) -> tuple[str, dict[str, str], str]:
    """As the runner reads it: split first, then decode."""
    match = re.fullmatch(r"::(\w+)(?: (.*?))?::(.*)", command)
    assert match is not None
    pairs = (pair.split("=", 1) for pair in match[2].split(",")) if match[2] else ()
    return match[1], {name: unquote(value) for name, value in pairs}, unquote(match[3])


def test_a_site_is_a_warning_on_its_line() -> None:
    assert commands(SITE)[0] == (
        "::warning file=mask.py,line=161,col=15,endLine=161,endColumn=35,title=graphfix GF101 GB0124"
        "::Tensor.item()%0AIt reads a value."
    )


def test_the_message_says_what_is_hidden_and_which_fix_there_is() -> None:
    fix = Fix("GF101", "keep the tensor", Safety.PROVEN, (), "")
    found = replace(SITE, fix=fix, break_=replace(BREAK, hides_rest=True))
    lines = parse(commands(found)[0])[2].split("\n")
    assert lines[2:] == ["hides the rest of the frame", "fix (proven): keep the tensor"]


def test_a_span_over_lines_has_no_columns_because_the_runner_drops_them() -> None:
    found = replace(SITE, location=Location("mask.py", 161, 14, 163, 2))
    assert set(parse(commands(found)[0])[1]) == {"file", "line", "endLine", "title"}


def test_a_location_without_columns_has_none() -> None:
    found = replace(SITE, location=Location("mask.py", 161))
    assert set(parse(commands(found)[0])[1]) == {"file", "line", "title"}


def test_nothing_breaks_out_of_a_command() -> None:
    hostile = "100%25,a=b::error::\r\n::warning::owned"
    found = Finding(Location(hostile, 3), hostile, hostile)
    shown = render(Report({}, findings=(found,)), "github").splitlines()
    assert len(shown) == 2  # the finding and the summary
    kind, properties, message = parse(shown[0])
    assert (kind, properties["file"], message) == ("warning", hostile, hostile)
    assert properties["title"] == f"graphfix {hostile}"


def test_what_is_only_likely_is_a_notice_on_its_line() -> None:
    found = Finding(WHERE, "GF301", "log-call: 50% sure, or so", "", certainty=Certainty.LIKELY)
    shown = render(Report({}, findings=(found, replace(found, certainty=Certainty.CERTAIN))), "github").splitlines()
    place = "file=mask.py,line=161,col=15,endLine=161,endColumn=35,title=graphfix GF301"
    assert shown[0] == f"::notice {place}::log-call: 50%25 sure, or so"
    assert shown[1] == f"::warning {place}::log-call: 50%25 sure, or so"


def test_failed_targets_are_errors_and_come_first() -> None:
    shown = [parse(line) for line in commands(SITE, status=Status.TIMEOUT, error="No answer.\nFile a.py")]
    assert [kind for kind, _, _ in shown] == ["error", "warning", "notice"]
    assert shown[0] == ("error", {"title": "graphfix timeout"}, "flow: No answer.\nFile a.py")


def test_a_failed_verdict_is_an_error_and_a_target_without_a_graph_a_warning() -> None:
    counts = Counts(1, 0, 0)
    failed = Verdict("flow", counts, counts, False, None, True, (), 1.0, "inductor", "cpu")
    assert parse(commands(graphs=1, verdict=failed)[0])[::2] == ("error", "flow: not proven: eager results differ")
    assert parse(commands(graphs=0)[0])[::2] == ("warning", "flow: no graph was captured: this is not clean")


def test_the_same_place_in_two_targets_is_annotated_once() -> None:
    target = TargetReport("flow", "t.py::flow", graphs=2, sites=(SITE,))
    lines = render(Report({}, (target, replace(target, name="t3"))), "github").splitlines()
    assert [parse(line)[0] for line in lines] == ["warning", "notice"]


def test_skipped_files_and_the_summary_are_notices() -> None:
    lines = render(Report({}, skipped=(("bad.py", "invalid syntax"),)), "github").splitlines()
    assert lines == ["::notice file=bad.py::skipped: invalid syntax", "::notice::no findings · 1 file skipped"]
