"""graphfix reports the breaks of the table at their columns and no others; `explain` reports what the table says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from conftest import report, run_graphfix
from situations import SITUATIONS, Mark, Situation, unmarked

GROUPS = 4
"""Processes that share the situations which leave logging alone."""

TARGET = """
@graphfix.target
def {name}():
    for module in {modules}:
        module = importlib.import_module(module)
        yield from (graphfix.Call(module.f, *args) for args in module.calls())
"""

EXPLAIN = """
import contextlib, importlib, io, json, sys, torch

seen = {}
for name in sys.argv[1:]:
    module = importlib.import_module(name)
    torch._dynamo.reset()
    with contextlib.redirect_stdout(io.StringIO()):
        reasons = torch._dynamo.explain(module.f)(*module.calls()[0]).break_reasons
    own = [[frame for frame in reason.user_stack if frame.filename == module.__file__] for reason in reasons]
    seen[name] = [[frames[-1].lineno, frames[-1].colno, frames[-1].end_colno] for frames in own if frames]
print(json.dumps(seen))
"""


def module_of(situation: Situation) -> str:
    return re.sub(r"\W+", "_", situation.name.lower())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file for each situation and one with the targets."""
    folder = tmp_path_factory.mktemp("situations")
    targets = "import importlib\nimport graphfix\n"
    names = [module_of(one) for one in SITUATIONS if not one.alone]
    for number in range(GROUPS):
        targets += TARGET.format(name=f"group{number}", modules=names[number::GROUPS])
    for situation in SITUATIONS:
        name = module_of(situation)
        text = f"{unmarked(situation)[0]}\ndef calls():\n    return {situation.calls}\n"
        (folder / f"{name}.py").write_text(text, encoding=situation.encoding, newline="")
        if situation.alone:
            targets += TARGET.format(name=name, modules=[name])
    (folder / "targets.py").write_text(targets)
    return folder


@pytest.fixture(scope="module")
def sites(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """What one scan reports, by the situation's module."""
    targets = report(run_graphfix("scan", "targets.py", "--format", "json", "--jobs", "2", cwd=folder))["targets"]
    assert [target["error"] for target in targets] == [None] * len(targets)
    found: dict[str, list[dict[str, Any]]] = {module_of(situation): [] for situation in SITUATIONS}
    for site in (site for target in targets for site in target["sites"]):
        assert Path(site["path"]).parent == folder, f"a site in other code: {site['path']}:{site['line']} {site['id']}"
        found[Path(site["path"]).stem].append(site)
    return found


@pytest.fixture(scope="module")
def explained(folder: Path) -> dict[str, list[list[int]]]:
    """The line and columns (in bytes) of each break reason that bare `explain` gives, by the situation's module."""
    names = sorted(SITUATIONS, key=lambda one: one.alone)
    command = [sys.executable, "-c", EXPLAIN, *map(module_of, names)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[list[int]]] = json.loads(done.stdout)
    return found


@pytest.mark.torch
@pytest.mark.parametrize("situation", SITUATIONS, ids=module_of)
def test_every_break_is_reported_at_its_place_and_no_other(
    sites: dict[str, list[dict[str, Any]]], situation: Situation
) -> None:
    found, expected = Counter(map(_mark, sites[module_of(situation)])), Counter(unmarked(situation)[1])
    missing, wrong = list(expected - found), list(found - expected)
    assert (missing, wrong) == ([], [])


def _mark(site: dict[str, Any]) -> Mark:
    return Mark(*(site[key] for key in ("line", "column", "end_line", "end_column", "id", "hidden")))


@pytest.mark.torch
@pytest.mark.skipif(not version("torch").startswith("2.13."), reason="the table was measured on torch 2.13")
@pytest.mark.parametrize("situation", SITUATIONS, ids=module_of)
def test_explain_alone_reports_what_the_table_says(explained: dict[str, list[list[int]]], situation: Situation) -> None:
    text, marks = unmarked(situation)
    lines = text.replace("\r\n", "\n").split("\n")
    found: set[Mark] = set()
    for line, start, end in explained[module_of(situation)]:
        first, last = (len(lines[line - 1].encode()[:byte].decode()) for byte in (start, end))
        there = [mark for mark in marks if mark.line <= line <= mark.end_line]
        exact = [mark for mark in there if (mark.end_line, mark.end_column) == (line, last)]
        found.update(exact or [mark for mark in there if mark.column < last and first < mark.end_column])
    assert len(found) == situation.explain


@pytest.mark.torch
def test_what_dynamo_says_of_the_loop_belongs_to_the_break_inside_it(sites: dict[str, list[dict[str, Any]]]) -> None:
    (site,) = sites["in_a_for_loop"]
    assert site["consequences"] == ["GB7000"]
