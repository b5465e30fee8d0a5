"""Files searched without torch."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from graphfix.apply.exact import apply_exact
from graphfix.model import Certainty, Safety
from graphfix.registry import selected
from graphfix.scan import static
from graphfix.scan.files import python_files
from graphfix.scan.static import FileScan, scan, scan_file, scan_text
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


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "model.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_findings_in_order_with_their_fixes() -> None:
    (file,) = scan([Path("model.py")], selected(["GF1", "GF3"]))
    assert (file.path, file.error) == ("model.py", None)
    found = file.findings
    assert [(one.rule, one.location.line, one.code.strip()) for one in found] == [
        ("GF301", 7, 'print("step", x.shape)'),
        ("GF101", 9, "y.fill_(x.mean().item())  # the mean"),
        ("GF301", 10, 'print("silenced")  # graphfix: ignore[log-call]'),
    ]
    assert [(one.line, one.codes) for one in file.suppressions] == [(10, ("log-call",))]
    item = found[1]
    assert MODEL.splitlines()[8][item.location.column : item.location.end_column] == "x.mean().item()"
    assert {one.fix for one in found} == {None}, "a scan makes no fix, and says only how safe one would be"
    assert item.safety is Safety.EXACT


def test_a_file_without_torch_has_no_findings() -> None:
    Path("plain.py").write_text(MODEL.replace("torch", "jax"))
    (file,) = scan([Path("plain.py")], selected())
    assert (file.findings, file.error) == ((), None)


def test_a_file_and_its_text_show_the_same_plain_data() -> None:
    file = scan_file(Path("model.py"), selected())
    assert file == scan_text("model.py", MODEL, selected())
    assert pickle.loads(pickle.dumps(file)) == file


BROKEN = {
    "python2.py": b"import torch\nprint 'x'\n",
    "latin.py": b"import torch  # \xe9\n",
    "null.py": b"import torch\0\n",
    "cookie.py": b"# coding: nothing\nimport torch\n",
    "deep.py": b"import torch\nx = " + b"(" * 300 + b")" * 300 + b"\n",
    "nested.py": b"import torch\ndef f(x):\n    return " + b"x if x else " * 600 + b"x\n",
    "long.py": b"import torch\nx = 1" + b" + 1" * 20000 + b"\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_read_is_skipped_with_a_reason(name: str) -> None:
    Path(name).write_bytes(BROKEN[name])
    good, broken = sorted(scan(python_files([Path()]), selected()), key=lambda file: file.error is not None)
    assert (good.path, len(good.findings)) == ("model.py", 3)
    assert broken == FileScan(name, error=broken.error)
    assert broken.error is not None
    assert name in broken.error
    assert [path for path, _ in apply_exact(Sources(), [Path(name)], selected()).skipped] == [name]


def test_a_file_that_is_gone_or_a_broken_link() -> None:
    Path("link.py").symlink_to("nowhere.py")
    files = scan(python_files([Path("gone.py"), Path()]), selected())
    assert [file.path for file in files if file.error] == ["gone.py", "link.py"]


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


def test_scanning_never_imports_torch_or_the_file() -> None:
    Path("model.py").write_text(MODEL + "raise SystemExit('imported')\n")
    root = Path(__file__).resolve().parent.parent
    script = f"import sys; sys.path.insert(0, {str(root)!r})\nfrom pathlib import Path\n"
    script += "from graphfix.registry import selected\nfrom graphfix.scan.static import scan\n"
    script += "print(len(scan([Path('model.py')], selected())[0].findings), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "3 False\n"


@pytest.mark.parametrize("certain", [True, False])
@pytest.mark.parametrize(
    "given",
    [
        "h = torch.compile(g)\n",
        "if __name__ == '__main__':\n    print(torch.compile(g, dynamic=True)(torch.ones(2)))\n",
        "def main():\n    return torch.compile(g)\n",
        "class Net:\n    def __init__(self):\n        self.g = torch.compile(g)\n",
        "g = torch.compile(g)\n",
    ],
)
def test_what_is_given_to_compile_is_compiled(given: str, certain: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static, "_FEW", 0)
    Path("model.py").write_text(f"import torch\n\ndef g(x: torch.Tensor):\n    return x * x.sum().item()\n\n{given}")
    (file,) = scan([Path("model.py")], selected(), certain=certain)
    assert [(one.rule, one.certainty) for one in file.findings] == [("GF100", Certainty.CERTAIN)]


@pytest.mark.parametrize("certain", [True, False])
def test_a_setting_counts_where_nothing_is_compiled(certain: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static, "_FEW", 0)
    body = "import torch._dynamo as d\n    d.config.suppress_errors = True\n"
    for text in (f"def main():\n    {body}", f"class Net(torch.nn.Module):\n  def train(self):\n    {body}"):
        Path("main.py").write_text(f"import torch\n\n{text}")
        (file,) = scan([Path("main.py")], selected(), certain=certain)
        assert [(one.rule, one.certainty) for one in file.findings] == [("GF600", Certainty.CERTAIN)]
