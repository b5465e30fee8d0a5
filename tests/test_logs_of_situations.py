"""The table of situations, read back from the logs of one program that runs through it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from conftest import report, run_graphfix
from situations import SITUATIONS, Mark, Situation, unmarked

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(not version("torch").startswith("2.13."), reason="the logs were compared on torch 2.13"),
]

PROGRAM = """
import contextlib, importlib, io, sys, torch

for name in sys.argv[1:]:
    module = importlib.import_module(name)
    torch._dynamo.reset()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(TypeError):  # one situation fails in torch
        compiled = torch.compile(module.f, backend="aot_eager")
        for arguments in module.calls():
            compiled(*arguments)
"""
SHARED = [one for one in SITUATIONS if not one.alone]

UNSEEN = {"trace": 1, "server.log": 8, "without-carets.log": 18}
"""Marks without a site at their columns: Dynamo itself puts one below its statement; a text log prints no place for
the second of two like breaks on a line; without carets neither of them has columns."""


def module_of(situation: Situation) -> str:
    return re.sub(r"\W+", "_", situation.name.lower())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the situations, their text log with and without carets, and their trace."""
    folder = tmp_path_factory.mktemp("logs")
    for one in SHARED:
        text = f"{unmarked(one)[0]}\ndef calls():\n    return {one.calls}\n"
        (folder / f"{module_of(one)}.py").write_text(text, encoding=one.encoding, newline="")
    environment = {**os.environ, "TORCH_TRACE": str(folder / "trace"), "TORCH_LOGS": "graph_breaks"}
    command = [sys.executable, "-c", PROGRAM, *map(module_of, SHARED)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    (folder / "server.log").write_text(done.stderr, encoding="utf-8")
    bare = "".join(line for line in done.stderr.splitlines(True) if not re.search(r"\] +[~^]*\^[~^]*$", line))
    assert len(bare) < len(done.stderr)
    (folder / "without-carets.log").write_text(bare, encoding="utf-8")
    return folder


@pytest.mark.parametrize("log", UNSEEN)
def test_sites_stand_at_the_marks_or_at_their_lines(folder: Path, log: str) -> None:
    sites = report(run_graphfix("scan", "--trace", log, "--format", "json", cwd=folder))["targets"][0]["sites"]
    unseen = 0
    for one in SHARED:
        found = [site for site in sites if Path(site["path"]).stem == module_of(one)]
        placed = {_mark(site) for site in found if site["column"] is not None}
        marks = {Mark(*_span(mark), mark.id, False): mark.hidden for mark in unmarked(one)[1]}
        assert placed <= marks.keys(), one.name
        unseen += len({mark for mark, hidden in marks.items() if not hidden} - placed)
    assert unseen == UNSEEN[log]


def _mark(site: dict[str, object]) -> Mark:
    return Mark(*(site[key] for key in ("line", "column", "end_line", "end_column", "id")), False)  # type: ignore[arg-type]


def _span(mark: Mark) -> tuple[int, int, int, int]:
    return (mark.line, mark.column, mark.end_line, mark.end_column)
