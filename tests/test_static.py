"""Files searched without torch, and the fixes that need no run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from graphfix.apply.exact import apply_exact
from graphfix.model import FixStatus, Safety
from graphfix.registry import selected
from graphfix.scan.static import python_files, scan
from graphfix.source.sources import Sources

MODEL = '''\
"""A model."""
import torch


class Net(torch.nn.Module):
    def forward(self, x: torch.Tensor):
        print("step", x.shape)
        y = torch.zeros(3)
        y.fill_(x.mean().item())  # the mean
        print("silenced")  # graphfix: ignore[log-call]
        return y
'''
FIXED = MODEL.replace(
    '        print("step", x.shape)\n',
    '        if not torch.compiler.is_compiling():\n            print("step", x.shape)\n',
).replace("x.mean().item()", "x.mean().detach().reshape(())")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "model.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_findings_in_order_with_their_fixes() -> None:
    found, skipped = scan([Path("model.py")], selected(["GF1", "GF3"]))
    assert skipped == []
    assert [(one.rule, one.location.line, one.code.strip()) for one in found] == [
        ("GF301", 7, 'print("step", x.shape)'),
        ("GF101", 9, "y.fill_(x.mean().item())  # the mean"),
    ]
    item = found[1]
    assert MODEL.splitlines()[8][item.location.column : item.location.end_column] == "x.mean().item()"
    assert item.fix is not None
    assert "+        y.fill_(x.mean().detach().reshape(()))  # the mean\n" in item.fix.diff


def test_a_file_without_torch_has_no_findings() -> None:
    Path("plain.py").write_text(MODEL.replace("torch", "jax"))
    assert scan([Path("plain.py")], selected()) == ([], [])


BROKEN = {
    "python2.py": b"import torch\nprint 'x'\n",
    "latin.py": b"import torch  # \xe9\n",
    "null.py": b"import torch\0\n",
    "cookie.py": b"# coding: nothing\nimport torch\n",
    "deep.py": b"import torch\nx = " + b"(" * 300 + b")" * 300 + b"\n",
    "decorated.py": b"import torch\n@torch.compile(0" + b" + 1" * 600 + b")\ndef f():\n    print(1)\n",
    "long.py": b"import torch\nx = 1" + b" + 1" * 20000 + b"\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_read_is_skipped_with_a_reason(name: str) -> None:
    Path(name).write_bytes(BROKEN[name])
    found, skipped = scan([Path()], selected())
    assert {one.location.path for one in found} == {"model.py"}
    assert [path for path, _ in skipped] == [name]
    assert name in skipped[0][1]
    assert [path for path, _ in apply_exact(Sources(), [Path(name)], selected()).skipped] == [name]


def test_a_file_that_is_gone_or_a_broken_link() -> None:
    Path("link.py").symlink_to("nowhere.py")
    assert [path for path, _ in scan([Path("gone.py"), Path()], selected())[1]] == ["gone.py", "link.py"]


def test_folders_that_are_left_out() -> None:
    for place in (
        "a/b",
        "a/tests",
        ".hidden",
        "site-packages",
        "a/__pycache__",
        "env/lib",
        "docs/deep/conf",
        "out/pkg",
    ):
        Path(place).mkdir(parents=True)
        Path(place, "x.py").write_text("")
    Path("env/pyvenv.cfg").write_text("")
    Path("out/graphfix.json").write_text("{}")
    Path("a/notes.txt").write_text("")
    files = [str(path) for path in python_files([Path()], ["tests", "docs/deep"])]
    assert files == ["model.py", "a/b/x.py"]
    assert [str(path) for path in python_files([Path("a"), Path("a/b/x.py")], ["*/tests/"])] == ["a/b/x.py"]
    assert list(python_files([Path("a/tests/x.py")], ["tests"])) == [Path("a/tests/x.py")]
    absolute = [path.name for path in python_files([Path().absolute()], ["docs/deep", "model.py", "a"])]
    assert absolute == []


def test_exact_fixes_are_made_once() -> None:
    first = apply_exact(Sources(), [Path("model.py")], selected())
    assert first.sources.module("model.py").text == FIXED
    assert [(one.rule, one.safety, one.status) for one in first.records] == [
        ("GF301", Safety.EXACT, FixStatus.KEPT),
        ("GF101", Safety.EXACT, FixStatus.KEPT),
    ]
    assert first.left == ()
    assert Path("model.py").read_text() == MODEL
    second = apply_exact(first.sources, [Path("model.py")], selected())
    assert second.records == ()
    assert second.sources.module("model.py").text == FIXED


def test_what_needs_a_run_is_left() -> None:
    source = "import torch\ndef f(x: torch.Tensor):\n    if (x == 0).any():\n        x[x == 0] = 1.0\n    return x\n"
    Path("branch.py").write_text(source)
    found = apply_exact(Sources(), [Path("branch.py")], selected())
    assert found.records == ()
    assert [one.rule for one in found.left] == ["GF201"]
    assert found.sources.patched == {}


def test_scanning_never_imports_torch_or_the_file() -> None:
    Path("model.py").write_text(MODEL + "raise SystemExit('imported')\n")
    root = Path(__file__).resolve().parent.parent
    script = f"import sys; sys.path.insert(0, {str(root)!r})\nfrom pathlib import Path\n"
    script += "from graphfix.registry import selected\nfrom graphfix.scan.static import scan\n"
    script += "print(len(scan([Path()], selected())[0]), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "2 False\n"
