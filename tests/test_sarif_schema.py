"""SARIF as others read it: the official schema accepts it, and a reader that makes its replacements gets our fixes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from conftest import Run

from graphfix.model import (
    Break,
    Certainty,
    Counts,
    Edit,
    Finding,
    Fix,
    Location,
    Report,
    Safety,
    Status,
    TargetReport,
    Verdict,
)
from graphfix.registry import selected
from graphfix.report import render
from graphfix.rule import apply
from graphfix.scan.fixes import with_fixes
from graphfix.scan.static import scan_file
from graphfix.source.sources import Sources

jsonschema = pytest.importorskip("jsonschema")
SCHEMA = json.loads((Path(__file__).parent / "data" / "sarif-2.1.0.json").read_text())

WHERE = Location("pkg/mask é 100%.py", 161, 14, 163, 34)
DIFF = "--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,2 @@\n import torch\n-x.fill_(t.item())\n+x.fill_(t)\n"
FIX = Fix("GF101", "keep the tensor", Safety.EXACT, (Edit("a.py", 13, 31, "x.fill_(t)\n"),), DIFF)
BREAK = Break("GB0124", "Tensor.item()", "It reads a value.", ("Keep it.",), WHERE, "pad_mask", (), 3, True)
SITE = Finding(WHERE, "GF101", "", "    max_len = lengths.max().item()", BREAK, FIX)
UNNAMED = Finding(Location("/usr/lib/a.py", 3), None, "", break_=Break(None, "?", "", (), WHERE, ""))
STATIC = Finding(Location("a.py", 2, 0, 2, 17), "GF101", "reads", "x.fill_(t.item())", function="f", fix=FIX)
LIKELY = Finding(Location("b.py", 0), "GF301", "", certainty=Certainty.LIKELY)
COUNTS = Counts(1, 0, 0)
FAILED = Verdict("t", COUNTS, COUNTS, False, None, True, (), 1.0, "inductor", "cpu")
REPORTS = {
    "empty": Report({}),
    "targets": Report({"graphfix": "1"}, (TargetReport("t", "t.py::t", graphs=2, sites=(SITE, UNNAMED)),)),
    "failed": Report({}, (TargetReport("t", "t", Status.CRASH, "killed", verdict=FAILED), TargetReport("u", "u"))),
    "static": Report({}, findings=(STATIC, LIKELY, SITE)),
    "skipped": Report({}, skipped=(("bad \udce9.py", "unreadable"),)),
}


@pytest.mark.parametrize("name", REPORTS)
def test_the_schema_accepts_every_kind_of_report(name: str) -> None:
    for explain in (None, lambda code: f"What it does:\n    About {code}.\n"):
        jsonschema.validate(json.loads(render(REPORTS[name], "sarif", explain_rule=explain)), SCHEMA)


def test_the_schema_refuses_what_is_wrong() -> None:
    log = json.loads(render(REPORTS["static"], "sarif"))
    log["runs"][0]["results"][0]["level"] = "loud"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(log, SCHEMA)


BODY = """\
class Net(nn.Module):
    def forward(self, x: torch.Tensor):
        print("😀", x.shape); pass
        print("größe", x.shape)
        y = torch.zeros(3)
        y.fill_(x.mean().item())
        for _ in range(3): print("twice")
        print("last")\
"""
IMPORTS = {"imported": "import torch\nfrom torch import nn\n\n", "to_import": "# torch\nfrom torch import nn\n\n\n"}
ENDS = {"end": "\n", "no_end": "", "pages": "\n\f\n"}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("imports", IMPORTS)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_reader_that_makes_a_replacement_gets_the_fix(
    graphfix: Run, tmp_path: Path, imports: str, end: str, newline: str
) -> None:
    path = tmp_path / "a dir" / "mödel 100%#.py"
    path.parent.mkdir()
    text = (IMPORTS[imports] + BODY + ENDS[end]).replace("\n", newline)
    path.write_text(text, encoding="utf-8", newline="")
    done = graphfix("scan", "a dir", "--format", "sarif")
    assert done.returncode == 1, done.stderr
    log = json.loads(done.stdout)
    jsonschema.validate(log, SCHEMA)
    (run,) = log["runs"]
    expected = with_fixes(scan_file(path, selected()).findings, Sources(), selected())
    fixes = [finding.fix for finding in expected]
    assert None in fixes, "two statements on one line cannot be fixed"
    assert [result.get("fixes") is None for result in run["results"]] == [fix is None for fix in fixes]
    for result, fix in zip(run["results"], fixes, strict=True):
        if fix is not None:
            (change,) = result["fixes"][0]["artifactChanges"]
            assert change["artifactLocation"] == result["locations"][0]["physicalLocation"]["artifactLocation"]
            assert _replaced(text, change["replacements"]) == apply(text, fix.edits)
    for result in run["results"]:
        where = result["locations"][0]["physicalLocation"]["artifactLocation"]
        whole = urljoin(run["originalUriBaseIds"][where["uriBaseId"]]["uri"], where["uri"])
        assert unquote(urlsplit(whole).path) == str(path)
        assert _region(text, result["locations"][0]["physicalLocation"]["region"]).startswith(("print(", "x.mean()"))


def _replaced(text: str, replacements: list[dict[str, Any]]) -> str:
    """As a reader of SARIF makes them: places count in the old text."""
    for one in sorted(replacements, key=lambda one: one["deletedRegion"]["startLine"], reverse=True):
        start, end = _offsets(text, one["deletedRegion"])
        text = text[:start] + one["insertedContent"]["text"] + text[end:]
    return text


def _region(text: str, region: dict[str, int]) -> str:
    start, end = _offsets(text, region)
    return text[start:end]


def _offsets(text: str, region: dict[str, int]) -> tuple[int, int]:
    """Where a region begins and ends; columns count UTF-16 code units (3.30)."""
    lines = [*text.splitlines(keepends=True), ""] if "\f" not in text else [f"{line}\n" for line in text.split("\n")]

    def offset(line: int, column: int | None) -> int:
        before, this = sum(map(len, lines[: line - 1])), lines[line - 1]
        if column is None:
            return min(before + len(this.rstrip("\r\n")), len(text))
        return before + len(this.encode("utf-16-le")[: 2 * (column - 1)].decode("utf-16-le"))

    start = offset(region["startLine"], region.get("startColumn", 1))
    return start, offset(region.get("endLine", region["startLine"]), region.get("endColumn"))
