"""Calls followed from file to file."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from graphfix.model import Certainty
from graphfix.registry import selected
from graphfix.scan import static
from graphfix.scan.static import scan

MODEL = """
import torch
from . import tools
from .base import Base
from .helpers.masks import lengths_of, only_text
from pkg.helpers import masks as more


class Net(Base):
    def forward(self, x: torch.Tensor):
        n = lengths_of(x)
        self.check(x)
        tools.shown(x)
        return tools.scaled(x) * n + more.third(x)
"""
FILES = {
    "pkg/__init__.py": "",
    "pkg/model.py": MODEL,
    "pkg/base.py": """
import torch


class Base(torch.nn.Module):
    def check(self, x):
        print(x.unsqueeze(0).sum())

    def describe(self, x: torch.Tensor):
        print(x.item())
""",
    "pkg/tools.py": """
import torch


def scaled(x: torch.Tensor):
    return _inner(x)


def _inner(x):
    return x / torch.max(x).item()


@torch.compiler.disable
def shown(x):
    plot(x)


def plot(x):
    print(torch.mean(x).item())
""",
    # `helpers` is a namespace package: it has no __init__.py
    "pkg/helpers/masks.py": """
import torch


def lengths_of(x):
    return int(torch.max(x))


def third(x):
    return float(torch.min(x))


def only_text(x: torch.Tensor):
    return x.tolist()
""",
}


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        Path(tmp_path, name).parent.mkdir(parents=True, exist_ok=True)
        Path(tmp_path, name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every number of files counts as many."""
    monkeypatch.setattr(static, "_FEW", 0)


def found(*names: str, certain: bool = False) -> dict[tuple[str, str], Certainty]:
    scans = scan([Path(name) for name in names or FILES], selected(), certain=certain)
    return {(Path(one.location.path).stem, one.function): one.certainty for file in scans for one in file.findings}


def torch_folder() -> Path:
    spec = importlib.util.find_spec("torch")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def test_what_compiled_code_calls_elsewhere_is_certain() -> None:
    assert found() == {
        ("base", "Base.check"): Certainty.CERTAIN,
        ("base", "Base.describe"): Certainty.LIKELY,
        ("tools", "_inner"): Certainty.CERTAIN,
        ("masks", "lengths_of"): Certainty.CERTAIN,
        ("masks", "third"): Certainty.CERTAIN,
        ("masks", "only_text"): Certainty.LIKELY,
    }


@pytest.mark.usefixtures("many")
def test_who_asks_for_the_certain_gets_all_of_it() -> None:
    everything = found()
    certain = {key for key, one in everything.items() if one is Certainty.CERTAIN}
    assert found(certain=True) == dict.fromkeys(certain, Certainty.CERTAIN)


def test_the_certain_findings_of_a_library_are_the_same_either_way() -> None:
    files = sorted(Path(torch_folder(), "nn").rglob("*.py"))
    sure, all_of_them = (
        [one for file in scan(files, selected(), certain=certain) for one in file.findings] for certain in (True, False)
    )
    expected = [one for one in all_of_them if one.certainty is Certainty.CERTAIN]
    assert len(expected) > 10
    assert [one for one in sure if one.certainty is Certainty.CERTAIN] == expected


@pytest.mark.usefixtures("many")
def test_what_nothing_compiles_is_not_parsed() -> None:
    Path("plain.py").write_text("import torch\n\ndef f(x: torch.Tensor):\n    return x.item(\n")
    (whole,) = scan([Path("plain.py")], selected())
    (quick,) = scan([Path("plain.py")], selected(), certain=True)
    assert whole.error is not None
    assert quick.error is None


@pytest.mark.usefixtures("many")
def test_a_comment_is_judged_by_all_that_a_file_shows() -> None:
    Path("one.py").write_text("import torch\n\ndef f(x: torch.Tensor):\n    return x.item()  # graphfix: ignore\n")
    assert scan([Path("one.py")], selected(), certain=True) == scan([Path("one.py")], selected())


def test_a_file_alone_shows_what_it_shows() -> None:
    assert found("pkg/tools.py") == {}
    assert found("pkg/helpers/masks.py") == {("masks", "only_text"): Certainty.LIKELY}


def test_the_folder_from_which_one_looks_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = found()
    monkeypatch.chdir("pkg")
    assert found(*(str(Path("..", name)) for name in FILES)) == expected
