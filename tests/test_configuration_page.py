"""docs/configuration.md holds what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import ROOT, Run

from graphfix.config import _KEYS, load
from graphfix.registry import check_codes
from graphfix.source.module import Module
from graphfix.source.suppress import suppressions

PAGE = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", blocks("toml"))
def test_the_examples_are_configurations(text: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    found = load(tmp_path)
    check_codes([*found.select, *found.ignore, *(code for codes in found.per_file_ignores.values() for code in codes)])
    assert found.per_file_ignores == {"tests/*": ("GF3",), "tools": ("GF",)}


def test_every_key_and_no_other() -> None:
    assert sorted(re.findall(r"^\| `([a-z][a-z-]*)` \|", PAGE, re.MULTILINE)) == sorted(_KEYS)


def test_every_flag_and_no_other(graphfix: Run) -> None:
    told = set(re.findall(r"(--[a-z-]+)", "".join(re.findall(r"^\| (`--.*?) \|", PAGE, re.MULTILINE))))
    assert told == set(re.findall(r"^  (--[a-z-]+)", graphfix("scan", "--help").stdout, re.MULTILINE)) - {"--help"}


def test_the_comments_are_comments() -> None:
    (text,) = blocks("python")
    found = suppressions(Module("m.py", text))
    assert [(one.first, one.last, one.codes) for one in found] == [
        (1, 1, ("GF101",)),
        (3, 5, ("item-in-fill", "GF3")),
        (1, None, ("GF301",)),
    ]
    check_codes(code for one in found for code in one.codes or ())


def test_the_commands_run(graphfix: Run, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/m.py").write_text("import torch\n@torch.compile\ndef f(x):\n    print(x)\n")
    (text,) = blocks("sh")
    assert graphfix("scan", "src").returncode == 1
    for line in text.splitlines():
        assert graphfix(*line.split()[1:]).returncode == 0
