"""`graphfix scan --trace` on what torch itself writes: TORCH_TRACE folders and text logs of a real program."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Run, report

from graphfix.scan.logs.torch_trace import count_ops, entries, reasons

pytestmark = pytest.mark.torch

PROGRAM = """
import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)

    def pick(self, x):
        return x.max().item()

    def forward(self, x):
        größe = 3; y = self.linear(x) * self.pick(x) * größe
        if y.abs().sum() > 0 or y.min() < 0:
            y = y + 1
        print("shape", y.shape)
        return y


def fill(x, t):
    return x.fill_(t.item()) * 2


def two(x):
    return x.nonzero().sum() + x[x > 1].sum()


def loop(x):
    for _ in range(2):
        x = x + 1
        print(x.sum())
    return x


def shapes(x):
    return x * 2


def sized(x):
    return x + 1


if __name__ == "__main__":
    net, fill, two, loop, shapes = (torch.compile(f, backend="aot_eager") for f in (Net(), fill, two, loop, shapes))
    net(torch.ones(2, 4))
    fill(torch.ones(3), torch.tensor(2.0))
    two(torch.arange(4))
    loop(torch.ones(3))
    for size in (3, 5, 7):
        shapes(torch.ones(size))
    fixed = torch.compile(sized, backend="aot_eager", dynamic=False)
    for size in range(2, torch._dynamo.config.recompile_limit + 4):
        fixed(torch.ones(size))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the text log and the trace of the program, which is gone from where they say it is."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "program.py").write_text(PROGRAM, encoding="utf-8")
    environment = {**os.environ, "TORCH_TRACE": str(folder / "trace"), "TORCH_LOGS": "graph_breaks,recompiles"}
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (folder / "server.log").write_text(done.stderr, encoding="utf-8")
    (folder / "program.py").unlink()
    return folder


@pytest.fixture
def project(server: Path, tmp_path: Path) -> Path:
    """A project with the logs and the program's source."""
    shutil.copytree(server, tmp_path, dirs_exist_ok=True)
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    return tmp_path


def spans(process: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The sites by the source they mark, each with its id and rule."""
    found = {}
    for site in report(process)["targets"][0]["sites"]:
        start, end = site["column"], site["end_column"]
        found[site["code"][start:end] if start is not None else site["code"]] = (site["id"], site["rule"])
    return found


SITES = {
    "x.max().item()": ("GB0124", "GF106"),
    "t.item()": ("GB0124", "GF101"),
    "y.abs().sum() > 0": ("GB0170", "GF206"),
    'print("shape", y.shape)': ("GB0059", "GF301"),
    "x.nonzero()": ("GB0036", "GF602"),
    "x[x > 1]": ("GB0036", "GF402"),
    "print(x.sum())": ("GB0059", "GF301"),
}


@pytest.mark.parametrize("log", ["trace", "server.log"])
def test_every_break_at_its_columns_with_its_rule(graphfix: Run, project: Path, log: str) -> None:
    done = graphfix("scan", "--trace", log, "--format", "json")
    assert done.returncode == 1, done.stderr
    assert spans(done) == SITES


@pytest.mark.parametrize("log", ["trace", "server.log"])
def test_a_rule_offers_its_fix(graphfix: Run, project: Path, log: str) -> None:
    (site,) = (
        site
        for site in report(graphfix("scan", "--trace", log, "--format", "json"))["targets"][0]["sites"]
        if site["rule"] == "GF101"
    )
    assert "+    return x.fill_(t.detach().reshape(())) * 2" in site["fix"]["diff"]


@pytest.mark.parametrize("log", ["trace", "server.log"])
def test_recompilations_with_the_guard_that_failed(graphfix: Run, project: Path, log: str) -> None:
    found = report(graphfix("scan", "--trace", log, "--format", "json"))["targets"][0]["recompiles"]
    (size,) = (each for each in found if each["function"] == "shapes")
    assert "size mismatch at index 0. expected 3, actual 5" in size["reason"]
    assert (Path(size["path"]).name, PROGRAM.splitlines()[size["line"] - 1]) == ("program.py", "def shapes(x):")
    limited = [each for each in found if each["limit"]]
    assert {each["function"] for each in limited} == {"sized"}


def test_a_trace_counts_graphs(graphfix: Run, project: Path) -> None:
    target = report(graphfix("scan", "--trace", "trace", "--format", "json"))["targets"][0]
    graphs = sum(count_ops(entry.payload) > 0 for entry in _entries(project) if entry.name == "dynamo_output_graph")
    assert target["graphs"] == graphs > 10
    assert target["ops"] > graphs
    assert next(site for site in target["sites"] if site["rule"] == "GF101")["graphs"] == 0, "nothing before it"
    assert next(site for site in target["sites"] if "x.max()" in site["code"])["graphs"] == 2


def test_a_file_of_a_trace_is_known_by_what_it_holds(graphfix: Run, project: Path) -> None:
    (file,) = (project / "trace").iterdir()
    whole = spans(graphfix("scan", "--trace", "trace", "--format", "json"))
    (project / "renamed.txt").write_bytes(file.read_bytes())
    (project / "packed").mkdir()
    (project / "packed" / "x.gz").write_bytes(gzip.compress(file.read_bytes()))
    for path in ("renamed.txt", "packed", "packed/x.gz"):
        assert spans(graphfix("scan", "--trace", path, "--format", "json")) == whole


def test_the_ranks_of_a_run_are_read_together(graphfix: Run, project: Path) -> None:
    (file,) = (project / "trace").iterdir()
    one = report(graphfix("scan", "--trace", "trace", "--format", "json"))["targets"][0]
    for rank in (0, 1):
        (project / "ranks" / str(rank)).mkdir(parents=True)
        shutil.copy(file, project / "ranks" / str(rank) / f"dedicated_log_torch_trace_rank_{rank}_x.log")
    (project / "ranks" / "README.txt").write_text("what the ranks left behind")
    two = report(graphfix("scan", "--trace", "ranks", "--format", "json"))["targets"][0]
    assert two["name"] == "ranks (2 logs)"
    assert two["graphs"] == 2 * one["graphs"]
    assert [site["seen"] for site in two["sites"]] == [2 * site["seen"] for site in one["sites"]]
    assert len(two["recompiles"]) == len(one["recompiles"])


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_a_trace_that_a_killed_server_left(graphfix: Run, project: Path, packed: bool) -> None:
    (file,) = (project / "trace").iterdir()
    data = file.read_bytes()
    data = gzip.compress(data) if packed else data
    for part in (0.1, 0.35, 0.6, 0.99):
        file.write_bytes(data[: int(len(data) * part)])
        done = graphfix("scan", "--trace", "trace", "--format", "json")
        assert done.returncode in (0, 1), done.stderr
        assert set(spans(done)) <= set(SITES)
    assert len(spans(done)) >= 7


@pytest.mark.parametrize("log", ["trace", "server.log"])
def test_a_log_of_another_machine(graphfix: Run, project: Path, log: str) -> None:
    """The server's paths are not here: the file with the same end of its path and the same lines is."""
    whole = spans(graphfix("scan", "--trace", log, "--format", "json"))
    _move(project, "/srv/app/releases/7/src/tts/program.py")
    (project / "src" / "tts").mkdir(parents=True)
    (project / "program.py").rename(project / "src" / "tts" / "program.py")
    (project / "tts").mkdir()
    (project / "tts" / "program.py").write_text("print('another one')\n")
    done = graphfix("scan", "--trace", log, "--format", "json")
    assert spans(done) == whole
    assert {site["path"] for site in report(done)["targets"][0]["sites"]} == {str(project / "src/tts/program.py")}


def test_a_package_that_is_installed_elsewhere(graphfix: Run, project: Path, tmp_path: Path) -> None:
    _move(project, "/opt/venv/lib/python3.12/site-packages/speech/decoder/program.py")
    package = tmp_path / "installed" / "site-packages" / "speech"
    (package / "decoder").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (project / "program.py").rename(package / "decoder" / "program.py")
    done = graphfix("scan", "--trace", "server.log", "--format", "json", PYTHONPATH=_also(package.parent))
    assert "t.item()" in spans(done)
    assert report(done)["targets"][0]["sites"][0]["path"] == str(package / "decoder" / "program.py")


def test_a_source_that_moved_on(graphfix: Run, project: Path) -> None:
    """Lines that are elsewhere in the same function are found there; lines that are gone have no fix."""
    text = PROGRAM.replace("import torch\n", "import torch\n\n# a comment\n", 1)
    text = text.replace("x.fill_(t.item()) * 2", "x.fill_(t.item()) * 3")
    (project / "program.py").write_text(text, encoding="utf-8")
    _move(project, str(project / "program.py"))
    target = report(graphfix("scan", "--trace", "server.log", "--format", "json"))["targets"][0]
    found = {site["line"]: site for site in target["sites"]}
    lines = text.splitlines()
    item = next(number for number, line in enumerate(lines, 1) if "x.max().item()" in line)
    assert found[item]["column"] is not None
    gone = PROGRAM.splitlines().index("    return x.fill_(t.item()) * 2") + 1
    assert (found[gone]["id"], found[gone]["column"], found[gone]["fix"]) == ("GB0124", None, None)
    assert [note for note in target["notes"] if "program.py is not the same here" in note]


def test_a_source_that_is_not_here(graphfix: Run, project: Path) -> None:
    (project / "program.py").unlink()
    _move(project, "/srv/program.py")
    done = graphfix("scan", "--trace", "server.log", "--format", "json")
    target = report(done)["targets"][0]
    assert {(site["path"], site["fix"]) for site in target["sites"]} == {("/srv/program.py", None)}
    assert [site["id"] for site in target["sites"]].count("GB0124") == 2
    assert "/srv/program.py is not here: its places are the log's, and have no fix" in target["notes"]
    assert "is not here" in graphfix("scan", "--trace", "server.log").stdout


def test_frames_of_another_torch_are_not_the_users(graphfix: Run, project: Path) -> None:
    log = project / "server.log"
    text = re.sub(r"/\S+/site-packages/torch/", "/opt/lib/python3.10/site-packages/torch/", log.read_text())
    text = re.sub(r"(modules/module\.py\", line )\d+", r"\g<1>1", text)
    inner = '  File "/opt/lib/python3.10/site-packages/torch/functional.py", line 2, in broadcast\n    return 1\n'
    head = "Graph break in user code at /opt/lib/python3.10/site-packages/torch/functional.py:2\nReason: odd\n"
    stack = f'User code traceback:\n  File "{project}/program.py", line 5, in <module>\n    import torch\n{inner}'
    log.write_text(text + head + stack.replace("line 5", "line 2"))
    sites = report(graphfix("scan", "--trace", "server.log", "--format", "json"))["targets"][0]["sites"]
    assert {Path(site["path"]).name for site in sites} == {"program.py"}


def _entries(project: Path) -> list[Any]:
    (file,) = (project / "trace").iterdir()
    return list(entries(file.read_text(encoding="utf-8").splitlines(keepends=True)))


def _move(project: Path, path: str) -> None:
    """Let the logs name another path."""
    name = re.search(r'"([^"]+/program\.py)"', (project / "server.log").read_text(encoding="utf-8"))
    assert name
    for file in (project / "server.log", *(project / "trace").iterdir()):
        file.write_text(file.read_text(encoding="utf-8").replace(name[1], path), encoding="utf-8")


def _also(folder: Path) -> str:
    root = Path(__file__).resolve().parent.parent
    return os.pathsep.join([str(root), str(folder)])


GRAPH = """
class GraphModule(torch.nn.Module):
    def forward(self, s0: "Sym(s0)", L_x_: "f32[s0][1]cpu"):
        l_x_ = L_x_

        # File: /srv/program.py:26 in shapes, code: return x * 2
        weight = self.linear.weight
        mul: "f32[s0][1]cpu" = l_x_ * 2;  l_x_ = None
        item = mul.grad
        _assert = torch._assert_async(mul);  _assert = None
        return (mul,)

    class inner(torch.nn.Module):
        def forward(self, x):
            sin = torch.sin(x)
            return (sin,)
"""


def test_ops_of_a_graph_as_torch_prints_it() -> None:
    assert count_ops(GRAPH) == 3
    assert count_ops(GRAPH[:150]) == 0, "cut off"
    assert (
        count_ops("class GraphModule(torch.nn.Module):\n    def forward(self, x):\n        y = x\n        return (y,)")
        == 0
    )


def test_reasons_as_torch_writes_them() -> None:
    assert reasons("6/0: tensor 'x' size mismatch") == ["6/0: tensor 'x' size mismatch"]
    assert reasons('[\n"6/1: a",\n"6/0: b"\n]') == ["6/1: a", "6/0: b"]
    assert reasons("[\n\n]") == reasons('["6/1: cut') == reasons("") == []
