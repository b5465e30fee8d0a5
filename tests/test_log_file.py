"""What `--trace` may name, and what is said where it names something else."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
from conftest import Run, report

LOG = """\
Graph break from Tensor.item(), consider setting: torch._dynamo.config.capture_scalar_outputs = True
Graph break: from user code at:
  File "{path}", line 5, in forward
    x.fill_(t.item())
"""
MODEL = """\
import torch


def forward(x, t):
    x.fill_(t.item())
    return x
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "model.py").write_text(MODEL)
    path = tmp_path / "server.log"
    path.write_text("starting\n" + LOG.format(path=tmp_path / "model.py"))
    return path


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda path: None, "cannot be read: No such file or directory"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(gzip.compress(b"")), "is empty"),
        (lambda path: path.write_bytes(b"\x7fELF\x00\x01" + bytes(range(256))), "is not text"),
        (lambda path: path.write_bytes(b"\x1f\x8bnot gzip"), "cannot be read"),
        (lambda path: path.mkdir(), "holds no file of TORCH_TRACE"),
        (lambda path: (path.mkdir(), (path / "notes.txt").write_text("hello")), "holds no file of TORCH_TRACE"),
    ],
    ids="missing empty empty-gzip binary broken-gzip empty-folder other-folder".split(),
)
def test_what_is_no_log_is_said_in_a_sentence(graphfix: Run, tmp_path: Path, made: object, says: str) -> None:
    made(tmp_path / "server.log")  # type: ignore[operator]
    done = graphfix("scan", "--trace", "server.log")
    assert done.returncode == 2
    assert "server.log" in done.stderr
    assert says in done.stderr
    assert "; name " in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_log_that_may_not_be_read(graphfix: Run, log: Path) -> None:
    log.chmod(0)
    done = graphfix("scan", "--trace", "server.log")
    assert (done.returncode, "Permission denied" in done.stderr) == (2, True)


def test_a_log_without_a_break_has_no_sites(graphfix: Run, tmp_path: Path) -> None:
    (tmp_path / "server.log").write_text("INFO: started\nINFO: GET /health\n")
    done = graphfix("scan", "--trace", "server.log", "--format", "json")
    assert done.returncode == 0
    assert report(done)["targets"][0]["sites"] == []
    assert report(done)["targets"][0]["graphs"] is None
    text = graphfix("scan", "--trace", "server.log").stdout
    assert text.startswith("server.log: no break in this log (")
    assert text.endswith("1 target: 1 without breaks\n")


def test_a_log_and_targets_at_once_are_refused(graphfix: Run, log: Path) -> None:
    done = graphfix("scan", "model.py", "--trace", "server.log")
    assert (done.returncode, "leave one of the two out" in done.stderr) == (2, True)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_the_warning_leads_to_the_site_and_the_rule(graphfix: Run, log: Path, encoding: str) -> None:
    log.write_text("größe\n" + log.read_text(), encoding=encoding)
    done = graphfix("scan", "--trace", "server.log", "--format", "json")
    assert done.returncode == 1
    (site,) = report(done)["targets"][0]["sites"]
    assert (site["id"], site["rule"], site["function"]) == ("GB0124", "GF101", "forward")
    assert site["code"][site["column"] : site["end_column"]] == "t.item()"
    assert "+    x.fill_(t.detach().reshape(()))" in site["fix"]["diff"]


def test_a_log_may_come_through_a_pipe(graphfix: Run, log: Path) -> None:
    pipe = log.parent / "pipe"
    os.mkfifo(pipe)
    if os.fork() == 0:
        pipe.write_bytes(gzip.compress(log.read_bytes()))
        os._exit(0)
    assert len(report(graphfix("scan", "--trace", "pipe", "--format", "json"))["targets"][0]["sites"]) == 1
    os.wait()


def test_the_headline_of_a_log_counts_no_graphs(graphfix: Run, log: Path) -> None:
    text = graphfix("scan", "--trace", "server.log").stdout
    assert text.startswith("server.log: 1 place to fix, 1 with a proven rule (")


def test_the_innermost_frame_is_shown_though_it_is_not_here(graphfix: Run, log: Path) -> None:
    log.write_text(log.read_text() + '  File "/opt/tts/layers.py", line 7, in pick\n    return x.max().item()\n')
    (site,) = report(graphfix("scan", "--trace", "server.log", "--format", "json"))["targets"][0]["sites"]
    assert (site["path"], site["line"], site["function"]) == ("/opt/tts/layers.py", 7, "pick")
    assert site["code"] == "return x.max().item()"
    assert site["note"].startswith("is not here")
    assert "its file is not here" in graphfix("scan", "--trace", "server.log", COLUMNS="80").stdout


@pytest.mark.parametrize(("part", "sites"), [("GF101", 0), ("GB0124", 0), ("GF503", 1), ("GB0125", 1)])
def test_a_site_is_suppressed_as_anywhere(graphfix: Run, log: Path, part: str, sites: int) -> None:
    model = log.parent / "model.py"
    model.write_text(MODEL.replace("t.item())", f"t.item())  # graphfix: ignore[{part}]"))
    log.write_text(log.read_text().replace("t.item())", f"t.item())  # graphfix: ignore[{part}]"))
    found = report(graphfix("scan", "--trace", "server.log", "--format", "json"))["targets"][0]["sites"]
    assert len(found) == sites


def test_scope_decides_which_frame_is_shown(graphfix: Run, log: Path) -> None:
    (log.parent / "app").mkdir()
    (log.parent / "app" / "main.py").write_text("import model\nmodel.forward(x, t)\n")
    outer = f'  File "{log.parent}/app/main.py", line 2, in <module>\n    model.forward(x, t)\n'
    log.write_text(log.read_text().replace("user code at:\n", f"user code at:\n{outer}"))
    for scope, name in (("app", "main.py"), ("model.py", "model.py")):
        done = graphfix("scan", "--trace", "server.log", "--scope", scope, "--format", "json")
        (site,) = report(done)["targets"][0]["sites"]
        assert Path(site["path"]).name == name
