"""Where files belong, and what `--scope` names."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from graphfix.errors import UsageError
from graphfix.source.paths import base_of, package_of, scope_path, short


def make(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")


def test_a_project_file_counts_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "src/pack/__init__.py", tmp_path / "src/pack/a.py", tmp_path / "script.py")
    monkeypatch.chdir(tmp_path)
    assert base_of("src/pack/a.py") == tmp_path
    assert short("src/pack/a.py") == short(str(tmp_path / "src/pack/a.py")) == "src/pack/a.py"
    assert package_of("src/pack/a.py") == str(tmp_path / "src/pack")
    assert package_of("script.py") is None


def test_an_installed_file_counts_from_its_site_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / ".venv/lib/site-packages"
    make(site / "pack/sub/a.py", site / "single.py")
    monkeypatch.chdir(tmp_path)
    assert short(str(site / "pack/sub/a.py")) == "pack/sub/a.py"
    assert package_of(str(site / "pack/sub/a.py")) == str(site / "pack")
    assert package_of(str(site / "single.py")) == str(site / "single.py")


def test_a_file_elsewhere_counts_from_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "else/pack/__init__.py", tmp_path / "else/pack/a.py", tmp_path / "here/x.py")
    monkeypatch.chdir(tmp_path / "here")
    assert short(str(tmp_path / "else/pack/a.py")) == "pack/a.py"
    (tmp_path / "here/link.py").symlink_to(tmp_path / "else/pack/a.py")
    assert short("link.py") == "pack/a.py"


def test_scope_names_a_path_or_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "lib/scoped/__init__.py", tmp_path / "lib/scoped/sub/a.py", tmp_path / "lib/alone.py")
    (tmp_path / "lib/scoped/__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "lib")])
    assert scope_path("lib") == tmp_path / "lib"
    assert scope_path("scoped") == tmp_path / "lib/scoped"
    assert scope_path("scoped.sub") == tmp_path / "lib/scoped/sub"
    assert scope_path("scoped.sub.a") == tmp_path / "lib/scoped/sub/a.py"
    assert scope_path("alone") == tmp_path / "lib/alone.py"


@pytest.mark.parametrize("name", ["no_such_thing", "json.no_such_thing", "sys", "a/b.py", "..."])
def test_scope_that_is_not_there(name: str) -> None:
    with pytest.raises(UsageError, match="is neither a path nor an installed package"):
        scope_path(name)
