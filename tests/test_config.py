"""`[tool.graphfix]`, read and refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphfix.config import Config, load
from graphfix.errors import ConfigError


def written(folder: Path, text: str) -> Path:
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return folder


def test_all_keys(tmp_path: Path) -> None:
    text = """
[tool.graphfix]
select = ["GF1"]
ignore = ["GF102", "log-call"]
exclude = ["tests"]
scope = "src"
unsafe = true
rule-packs = ["my-rules"]
baseline = "known.json"
respect-gitignore = false
[tool.graphfix.targets]
flow = "targets.py::flow"
[tool.graphfix.per-file-ignores]
"tests/*" = ["GF3", "item-in-fill"]
"""
    assert load(written(tmp_path, text)) == Config(
        tmp_path,
        {"flow": "targets.py::flow"},
        ("GF1",),
        ("GF102", "log-call"),
        ("tests",),
        ("src",),
        True,
        ("my-rules",),
        {"tests/*": ("GF3", "item-in-fill")},
        "known.json",
        False,
    )


def test_the_project_around_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = tmp_path / "src/pack"
    inner.mkdir(parents=True)
    written(tmp_path, '[tool.graphfix]\nscope = ["a", "b"]\n')
    assert load(inner) == Config(tmp_path, scope=("a", "b"))
    monkeypatch.chdir(inner)
    assert load(Path()).root == tmp_path
    written(inner, "")
    assert load(inner) == Config(inner)


def test_without_a_pyproject(tmp_path: Path) -> None:
    assert load(tmp_path) == Config(tmp_path)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("slect = []", "has an unknown key 'slect'; did you mean 'select'"),
        ("rule_packs = []", "has an unknown key 'rule_packs'; did you mean 'rule-packs'"),
        ("per-path-ignores = {}", "has an unknown key 'per-path-ignores'; did you mean 'per-file-ignores'"),
        ("all = true", "has an unknown key 'all'; known keys: baseline, exclude, ignore, .*, unsafe"),
        ("baseline = true", "baseline in .* must be a path"),
        ("respect-gitignore = 1", "respect-gitignore in .* must be true or false"),
        ('per-file-ignores = ["GF1"]', "per-file-ignores in .* must map patterns to lists of codes"),
        ('per-file-ignores = {"a.py" = "GF1"}', "per-file-ignores in .* must map patterns to lists of codes"),
        ('per-file-ignores = {"a.py" = [1]}', "per-file-ignores in .* must be a list of strings"),
        ('select = "GF1"', "select in .* must be a list of strings"),
        ("exclude = [1]", "exclude in .* must be a list of strings"),
        ('unsafe = "yes"', "unsafe in .* must be true or false"),
        ('targets = ["a"]', 'must map names to specs like "file.py::flow"'),
        ("targets = {a = 1}", "must map names to specs"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, table: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load(written(tmp_path, f"[tool.graphfix]\n{table}\n"))
    assert "pyproject.toml" in str(caught.value)
    assert str(caught.value).endswith((".", "?"))


@pytest.mark.parametrize("text", ["[tool\n", "tool.graphfix = 3\n", "[tool.graphfix]\nselect = [\n"])
def test_a_broken_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"pyproject\.toml"):
        load(written(tmp_path, text))


def test_other_tools_are_none_of_our_business(tmp_path: Path) -> None:
    assert load(written(tmp_path, "[tool.ruff]\nslect = []\n")) == Config(tmp_path)
    assert load(written(tmp_path, "tool = 3\n")) == Config(tmp_path)
