"""Calls followed from file to file."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphfix.model import Certainty
from graphfix.registry import selected
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


def found(*names: str) -> dict[tuple[str, str], Certainty]:
    scans = scan([Path(name) for name in names or FILES], selected())
    return {(Path(one.location.path).stem, one.function): one.certainty for file in scans for one in file.findings}


def test_what_compiled_code_calls_elsewhere_is_certain() -> None:
    assert found() == {
        ("base", "Base.check"): Certainty.CERTAIN,
        ("base", "Base.describe"): Certainty.LIKELY,
        ("tools", "_inner"): Certainty.CERTAIN,
        ("masks", "lengths_of"): Certainty.CERTAIN,
        ("masks", "third"): Certainty.CERTAIN,
        ("masks", "only_text"): Certainty.LIKELY,
    }


def test_a_file_alone_shows_what_it_shows() -> None:
    assert found("pkg/tools.py") == {}
    assert found("pkg/helpers/masks.py") == {("masks", "only_text"): Certainty.LIKELY}


def test_the_folder_from_which_one_looks_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = found()
    monkeypatch.chdir("pkg")
    assert found(*(str(Path("..", name)) for name in FILES)) == expected
