"""The text report: what a person reads in a terminal of any width, or in a plain log."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

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
    Status,
    Sync,
    TargetReport,
    Verdict,
)
from graphfix.report import render

VERSIONS = {"graphfix": "0.1.0", "python": "3.11.9", "torch": "2.8.0", "device": "cpu"}
ITEM = "Unsupported Tensor.item() call with capture_scalar_outputs=False"
MASK = "/usr/lib/python3.11/site-packages/chatterbox/models/s3gen/utils/mask.py"
DIFF = """--- a/mask.py
+++ b/mask.py
@@ -161 +161 @@
-    max_len = lengths.max().item()
+    max_len = lengths.max()
"""
FIX = Fix("GF101", "keep the tensor", Safety.PROVEN, (), DIFF)


def site(
    code: str = "    max_len = lengths.max().item()",
    guilty: str = "lengths.max().item()",
    path: str = MASK,
    rule: str | None = "GF101",
    fix: Fix | None = FIX,
    hides_rest: bool = False,
) -> Finding:
    column = code.index(guilty)
    where = Location(path, 161, column, 161, column + len(guilty))
    found = Break("GB0124", ITEM, "It reads a value.", ("Keep the tensor.",), where, "pad_mask", (), 12, hides_rest)
    return Finding(where, rule, "", code, found, fix)


def one(*sites: Finding, **fields: object) -> Report:
    known: dict[str, object] = {"graphs": 32, "graph_breaks": 41, "seconds": 12.34}
    return Report(VERSIONS, (TargetReport("flow", "targets.py::flow", sites=sites, **{**known, **fields}),))  # type: ignore[arg-type]


def static(code: str, location: Location, fix: Fix | None = None) -> Report:
    return Report(VERSIONS, findings=(Finding(location, "GF101", "reads a value", code, None, fix),))


def verdict(**fields: object) -> Verdict:
    known: dict[str, object] = {
        "target": "flow",
        "before": Counts(32, 41, 3),
        "after": Counts(6, 5, 1),
        "eager_identical": True,
        "compiled_max_abs_diff": 1.2e-7,
        "within_tolerance": True,
        "arms": (),
        "seconds": 3.0,
        "backend": "inductor",
        "device": "cpu",
    }
    return Verdict(**{**known, **fields})  # type: ignore[arg-type]


def squeezed(text: str) -> str:
    """Without whitespace, carets and table rules: what is left when only the folding differs."""
    return re.sub(r"[\s^─]", "", text)


def underlined(text: str, line: str) -> str:
    """What the carets under `line` stand under, counted in terminal cells."""
    rows = text.splitlines()
    row = next(number for number, shown in enumerate(rows) if line in shown)
    start, end = rows[row + 1].index("^"), rows[row + 1].rindex("^") + 1
    return "".join(char for at, char in enumerate(rows[row]) if start <= cell_len(rows[row][:at]) < end)


def test_a_target_starts_with_a_headline_and_ends_with_a_summary() -> None:
    lines = render(one(site(), site(path="flow.py", rule=None, fix=None)), "text", width=100).splitlines()
    assert lines[0] == "flow: 32 graphs, 2 places to fix, 1 with a proven rule (12.3 s)"
    assert lines[-1] == "1 target: 1 with breaks · 2 places to fix, 1 with a proven rule"


def test_the_table_shows_the_place_the_line_the_reason_and_the_rule() -> None:
    text = render(one(site(hides_rest=True)), "text", width=200)
    assert re.search(r"site +the line +why +id +cost +rule", text)
    assert "\nchatterbox/models/s3gen/utils/mask.py:161:15 " in text
    for shown in ("in pad_mask", "GB0124", "×12", "GF101", "proven", "hides the rest of"):
        assert shown in text
    assert underlined(text, "max_len = ") == "lengths.max().item()"


def test_a_site_that_hides_nothing_does_not_say_so() -> None:
    assert "hides" not in render(one(site()), "text", width=140)


def test_a_break_without_a_rule_says_where_to_read_on() -> None:
    text = render(one(site(rule=None, fix=None)), "text", width=100)
    assert "none with a proven rule" in text
    assert "`graphfix explain GB0124`" in text
    assert "graphfix explain" not in render(one(site()), "text", width=100)


@pytest.mark.parametrize("width", [40, 50, 79, 90, 100, 200])
@pytest.mark.parametrize("color", [False, True])
def test_no_line_is_longer_than_the_width(width: int, color: bool) -> None:
    long = site("    call('日本語', a_very_long_name_indeed=another_long_name, x=[1, 2, 3])", "a_very_long_name_indeed")
    fixes = (FixRecord("GF101", MASK, 161, Safety.PROVEN, FixStatus.KEPT, "proven on flow " * 9, DIFF * 2),)
    target = TargetReport("flow", "t", graphs=1, sites=(site(hides_rest=True), long), verdict=verdict())
    failed = TargetReport("t3", "t", Status.TIMEOUT, "No answer.\n" + "x" * 300)
    report = Report(VERSIONS, (target, failed), (long,), fixes, (MASK,), ((MASK, "syntax error " * 9),))
    text = render(report, "text", width=width, color=color)
    plain = re.sub(r"\x1b\[[\d;]*m", "", text)
    assert ("\x1b[" in text) is color
    assert max(map(cell_len, plain.splitlines())) <= width


def test_a_narrow_terminal_gets_a_list_that_loses_nothing() -> None:
    wide, narrow = (render(one(site(hides_rest=True)), "text", width=width) for width in (300, 40))
    assert "the line" in wide
    assert "the line" not in narrow
    for shown in (
        "chatterbox/models/s3gen/utils/mask.py:161:15",
        "in pad_mask",
        "max_len = lengths.max().item()",
        ITEM,
        "GB0124 ×12",
        "hides the rest of the frame",
        "rule: GF101, proven",
    ):
        assert squeezed(shown) in squeezed(narrow)


def test_wide_characters_fold_without_loss() -> None:
    code = "x = '" + "".join(map(chr, range(0x4E00, 0x4E64))) + "'.item()"
    text = render(one(site(code, ".item()")), "text", width=40)
    assert squeezed(code) in squeezed(text)
    assert max(map(cell_len, text.splitlines())) <= 40


def test_carets_follow_the_guilty_part_over_folded_lines() -> None:
    code = f"total = {' + '.join(f'first_{n}' for n in range(12))} + lengths.max().item()"
    text = render(one(site(code, "first_4 + first_5 + first_6 + first_7")), "text", width=40)
    rows = text.splitlines()
    marked = [
        "".join(char for at, char in enumerate(rows[row - 1]) if shown[at : at + 1] == "^")
        for row, shown in enumerate(rows)
        if "^" in shown
    ]
    assert len(marked) > 1
    assert squeezed("".join(marked)) == "first_4+first_5+first_6+first_7"


@pytest.mark.parametrize(
    ("code", "guilty"),
    [
        ("    n = lengths.max().item()", "lengths.max().item()"),
        ("    長さ = 入力['日本語'].item()", "入力['日本語'].item()"),
        ("\tx =\tn.item()\t# why", "n.item()"),
        ("    e\u0301te\u0301 = ne\u0301.item()", "ne\u0301.item()"),
        ("x = '😀' + f(n)", "f(n)"),
    ],
)
def test_carets_stand_under_the_guilty_expression(code: str, guilty: str) -> None:
    start = code.index(guilty)
    text = render(static(code, Location("a.py", 3, start, 3, start + len(guilty))), "text", width=100)
    assert underlined(text, guilty) == guilty


def test_a_span_over_lines_is_marked_to_the_end_of_the_first() -> None:
    text = render(static("    f(n.item(),  ", Location("a.py", 3, 6, 4, 9)), "text", width=100)
    assert underlined(text, "f(n") == "n.item(),"


def test_a_location_without_columns_marks_nothing() -> None:
    text = render(static("    f(n.item())", Location("a.py", 3)), "text", width=100)
    assert "f(n.item())" in text
    assert "^" not in text
    assert "a.py:3: GF101" in text


def test_a_place_with_a_rule_but_no_fix_says_so() -> None:
    for width in (50, 120):
        assert "no fix" in render(one(site(fix=None)), "text", width=width)
        assert "no fix" not in render(one(site()), "text", width=width)


def test_a_consequence_is_named_under_its_cause() -> None:
    cause = site()
    assert cause.break_ is not None
    cause = replace(cause, break_=replace(cause.break_, consequences=("GB7000", "GB0039")))
    assert "also causes GB7000, GB0039" in render(one(cause), "text", width=200)


def test_colour_marks_the_expression_instead_of_carets() -> None:
    text = render(one(site()), "text", width=160, color=True)
    assert "^" not in text
    assert re.search(r"max_len = \x1b\[[\d;]*7[\d;]*mlengths\.max\(\)\.item\(\)\x1b\[0m", text)


def test_the_users_code_is_never_read_as_markup_or_as_an_escape() -> None:
    text = render(one(site("log('[bold]x[/bold] :smile: \x1b[31m', n.item())", "n.item()")), "text", width=200)
    assert "log('[bold]x[/bold] :smile: ␛[31m', n.item())" in text


def test_findings_are_grouped_by_file_and_say_whether_a_fix_is_available() -> None:
    exact = Fix("GF101", "drop .item()", Safety.EXACT, (), DIFF)
    places = (("b.py", 9, None), ("a.py", 3, exact), ("b.py", 12, None))
    found = tuple(
        Finding(Location(path, line, 4, line, 8), "GF101", "reads a value", "    n.item()", None, fix)
        for path, line, fix in places
    )
    text = render(Report(VERSIONS, findings=found), "text", width=100)
    assert [line for line in text.splitlines() if line.startswith(("a.py", "b.py"))] == [
        "b.py",
        "b.py:9:5: GF101 reads a value",
        "b.py:12:5: GF101 reads a value",
        "a.py",
        "a.py:3:5: GF101 reads a value",
    ]
    assert text.count("fix:") == text.count("fix: exact (drop .item())") == 1
    assert text.endswith("\n3 findings in 2 files: 3 GF101; 1 with a fix\n")
    assert "likely" not in text


def found(rule: str, line: int, certainty: Certainty = Certainty.CERTAIN, safety: Safety | None = None) -> Finding:
    return Finding(Location("a.py", line), rule, "reads a value", "n.item()", certainty=certainty, safety=safety)


def test_what_is_only_likely_is_marked_and_counted() -> None:
    text = render(
        Report(VERSIONS, findings=(found("GF101", 3, Certainty.LIKELY), found("GF101", 4))), "text", width=100
    )
    assert "\na.py:3: likely GF101 reads a value\n" in text
    assert "\na.py:4: GF101 reads a value\n" in text
    assert text.endswith("\n2 findings in 1 file (1 likely): 2 GF101\n")


def test_the_summary_counts_by_rule_and_says_what_apply_writes() -> None:
    exact, proven = Safety.EXACT, Safety.PROVEN
    findings = (
        found("GF201", 1, safety=proven),
        found("GF302", 2, safety=exact),
        *(found("GF301", line, safety=exact) for line in (3, 4)),
    )
    shown = render(Report(VERSIONS, findings=findings), "text", width=100).splitlines()
    assert shown[-2:] == [
        "4 findings in 1 file: 2 GF301, 1 GF201, 1 GF302",
        "`graphfix apply PATH` writes the exact fixes (GF301, GF302)",
    ]
    applied = render(Report(VERSIONS, findings=findings, fixes=()), "text", width=100)
    assert "graphfix apply" not in applied, "what apply left it cannot fix"
    likely = found("GF301", 9, Certainty.LIKELY, exact)
    assert "graphfix apply" not in render(Report(VERSIONS, findings=(findings[0], likely)), "text", width=100)


def test_no_graph_at_all_is_not_clean() -> None:
    text = render(one(graphs=0, graph_breaks=0), "text", width=100)
    assert "flow: no graph was captured: this is not clean" in text
    assert "1 target: 1 without a graph" in text


def test_a_clean_target_says_so() -> None:
    text = render(one(graphs=1, graph_breaks=0), "text", width=100)
    assert "flow: 1 graph, no breaks" in text
    assert text.endswith("1 target: 1 clean\n")


def test_breaks_without_a_site_do_not_read_as_no_breaks() -> None:
    assert "flow: 3 graphs, 2 graph breaks, no places to fix" in render(
        one(graphs=3, graph_breaks=2), "text", width=100
    )


def test_a_timeout_shows_the_sentence_the_stack_and_what_was_streamed_before() -> None:
    error = 'No answer within 60 s.\nFile "a.py", line 3, in f\n    while True: pass'
    text = render(one(site(), status=Status.TIMEOUT, error=error), "text", width=100)
    assert "flow: timeout, 32 graphs" in text
    assert "\n  No answer within 60 s.\n" in text
    assert '\n    File "a.py", line 3, in f\n        while True: pass\n' in text
    assert "GB0124" in text
    assert "1 target: 1 failed" in text


def test_an_error_without_a_stack_and_without_sites_still_says_what_was_captured() -> None:
    lines = render(one(status=Status.CRASH, error="killed by signal 9"), "text", width=100).splitlines()
    assert lines[:3] == ["flow: crash, 32 graphs (12.3 s)", "  killed by signal 9", ""]


def test_what_else_compiling_showed_comes_as_short_lists() -> None:
    text = render(
        one(
            recompiles=tuple(Recompile("forward", f"size {n} changed") for n in range(7)),
            skipped_frames=(SkippedFrame("loop", MASK, 12, "break in a loop"),),
            cudagraph_skips=(CudagraphSkip("mutated inputs"), CudagraphSkip("cpu device", MASK, 7)),
            syncs=(Sync(MASK, 8, "aten._local_scalar_dense"),),
        ),
        "text",
        width=120,
    )
    assert "recompiles: 7\n  - forward: size 0 changed" in text
    assert "… and 2 more" in text
    assert "size 6" not in text
    short = "chatterbox/models/s3gen/utils/mask.py"
    assert f"skipped frames: 1\n  - loop ({short}:12): break in a loop" in text
    assert f"without a CUDA graph: 2\n  - mutated inputs\n  - {short}:7: cpu device" in text
    assert f"host syncs: 1\n  - {short}:8: aten._local_scalar_dense" in text


def test_apply_shows_each_fix_and_the_diff_of_the_kept_one_only() -> None:
    fixes = (
        FixRecord("GF101", MASK, 161, Safety.PROVEN, FixStatus.KEPT, "proven on flow", DIFF),
        FixRecord("GF201", "flow.py", 170, Safety.PROVEN, FixStatus.REJECTED, "eager differs", "-rejected line"),
        FixRecord("GF301", "flow.py", 180, Safety.UNSAFE, FixStatus.SKIPPED, "needs --unsafe", "-skipped line"),
    )
    text = render(Report(VERSIONS, fixes=fixes, written=("fix.patch",)), "text", width=100)
    assert "kept GF101 chatterbox/models/s3gen/utils/mask.py:161 (proven): proven on flow" in text
    assert "\n  -    max_len = lengths.max().item()\n  +    max_len = lengths.max()\n" in text
    assert "rejected GF201 flow.py:170 (proven): eager differs" in text
    assert "skipped GF301 flow.py:180 (unsafe): needs --unsafe" in text
    assert "rejected line" not in text
    assert "skipped line" not in text
    assert "written: fix.patch" in text
    assert text.endswith("fixes: 1 kept, 1 rejected, 1 skipped\n")


def test_the_verdict_is_one_sentence() -> None:
    arms = (Arm("mask.py", 161, (False, True)),)
    assert (
        "flow: 32 graphs → 6, 3 places → 1, eager identical, compiled max diff 1.2e-07 (inductor, cpu), "
        "arms 1 of 2 witnessed (one-sided: mask.py:161 never true) — proven\n"
    ) in render(one(verdict=verdict(arms=arms)), "text", width=300)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"error": "the worker was killed"}, "the worker was killed"),
        ({"after": Counts(0, 0, 0)}, "no graph was captured"),
        ({"new_breaks": ("mask.py:161 GB0124",)}, "new breaks: mask.py:161 GB0124"),
        ({"eager_identical": False}, "eager results differ"),
        ({"within_tolerance": False, "compiled_max_abs_diff": None}, "compiled results are outside the tolerance"),
    ],
)
def test_a_failed_verdict_says_why(fields: dict[str, object], reason: str) -> None:
    assert f"— not proven: {reason}\n" in render(one(verdict=verdict(**fields)), "text", width=300)


def test_paths_inside_the_current_folder_are_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    location = Location(str(tmp_path / "pkg" / "a.py"), 3, 0, 3, 1)
    assert "\npkg/a.py:3:1: GF101" in render(static("x", location), "text", width=100)
    outside = replace(location, path="/opt/models/a.py")
    assert "\n/opt/models/a.py:3:1: GF101" in render(static("x", outside), "text", width=100)


def test_a_place_that_two_targets_share_is_one_place_to_fix() -> None:
    target = one(site()).targets[0]
    assert "2 targets: 2 with breaks · 1 place to fix" in render(Report(VERSIONS, (target, target)), "text", width=100)


def test_skipped_files_and_nothing_found() -> None:
    text = render(Report(VERSIONS, skipped=(("bad.py", "line 3: invalid syntax"),)), "text", width=100)
    assert text == "skipped bad.py: line 3: invalid syntax\nno findings · 1 file skipped\n"


def test_without_a_terminal_the_width_is_100_and_columns_decides_otherwise() -> None:
    script = (
        "from graphfix.model import Report; from graphfix.report import render\n"
        "print(max(map(len, render(Report({}, skipped=(('a.py', 'x ' * 200),)), 'text').splitlines())))"
    )
    plain = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    for env, width in ((plain, 100), (plain | {"COLUMNS": "60"}, 60)):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=env)
        assert width - 2 <= int(done.stdout) <= width


def test_only_text_pays_for_rich_and_an_unknown_format_is_named() -> None:
    script = (
        "import sys; from graphfix.model import Report; from graphfix.report import FORMATS, render\n"
        "for name in FORMATS:\n    if name != 'text': render(Report({}), name)\n"
        "print([name for name in ('rich', 'torch', 'libcst') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    with pytest.raises(ValueError, match=r"no output format 'xml'.*text, json, sarif, github, html"):
        render(Report(VERSIONS), "xml")


def test_a_path_that_is_not_utf8_can_still_be_printed() -> None:
    text = render(static("x", Location("bad\udce9.py", 3)), "text", width=100)
    assert "bad\ufffd.py:3" in text.encode("utf-8").decode("utf-8")
