"""Which files the paths of a scan stand for."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphfix.scan.files import is_excluded, python_files


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "build"  # a project may be called like a folder that is left out
    root.mkdir()
    monkeypatch.chdir(root)
    return root


def made(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("")


def found(*paths: str, **settings: object) -> list[str]:
    return [str(path) for path in python_files(map(Path, paths), **settings)]  # type: ignore[arg-type]


def test_folders_that_are_left_out() -> None:
    made("model.py", "a/b/x.py", "a/tests/x.py", ".hidden/x.py", "site-packages/x.py", "a/__pycache__/x.py")
    made("env/lib/x.py", "env/pyvenv.cfg", "docs/deep/conf/x.py", "out/pkg/x.py", "out/graphfix.json", "a/notes.txt")
    made("a/stub.pyi", "a/book.ipynb", "x.py/y.py")
    assert found("", exclude=["tests", "docs/deep"]) == ["model.py", "a/b/x.py", "x.py/y.py"]
    assert found("a", "a/b/x.py", exclude=["*/tests/"]) == ["a/b/x.py"]
    assert found("a/tests/x.py", exclude=["tests"]) == ["a/tests/x.py"]
    assert found("env", "out") == ["env/lib/x.py", "out/pkg/x.py"]
    assert found(str(Path().absolute()), exclude=["docs/deep", "model.py", "a", "y.py"]) == []


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("x.py", ["a/y.py", "a/b/xx.py"]),
        ("a", ["x.py"]),
        ("./a/", ["x.py"]),
        ("a/b", ["x.py", "a/x.py", "a/y.py"]),
        ("b", ["x.py", "a/x.py", "a/y.py"]),
        ("a/*.py", ["x.py"]),
        ("*/b/*", ["x.py", "a/x.py", "a/y.py"]),
        ("x*", ["a/y.py"]),
        ("?.py", ["a/b/xx.py"]),
        ("[!x].py", ["x.py", "a/x.py", "a/b/x.py", "a/b/xx.py"]),
        ("build", ["x.py", "a/x.py", "a/y.py", "a/b/x.py", "a/b/xx.py"]),
    ],
)
def test_patterns_count_from_the_project(project: Path, pattern: str, left: list[str]) -> None:
    made("x.py", "a/x.py", "a/y.py", "a/b/x.py", "a/b/xx.py")
    assert found("", exclude=[pattern], root=project) == left
    inner = [path.relative_to(project / "a") for path in python_files([project / "a"], [pattern], root=project)]
    assert [f"a/{path}" for path in inner] == [name for name in left if name.startswith("a/")]
    named = ["x.py", "a/x.py", "a/y.py", "a/b/x.py", "a/b/xx.py"]
    assert found(*named, exclude=[pattern], root=project, force_exclude=True) == left
    assert [name for name in named if not is_excluded(Path(name), [pattern], project)] == left


def test_an_absolute_pattern(project: Path) -> None:
    made("x.py", "a/x.py")
    assert found("", exclude=[str(project / "a")], root=project) == ["x.py"]


def test_force_exclude_leaves_out_what_a_walk_would(project: Path) -> None:
    names = ["x.py", ".venv/x.py", "a/site-packages/x.py", "env/lib/x.py", "a/x.py"]
    made(*names, "env/pyvenv.cfg")
    assert found(*names, root=project) == names
    assert found(*names, root=project, force_exclude=True) == ["x.py", "a/x.py"]
    assert found(".", "a", "env", root=project, force_exclude=True) == ["x.py", "a/x.py"]
    assert is_excluded(Path("a/dist/gone.py"), [], project)
    assert not is_excluded(Path("a/gone.py"), [], project)


def test_each_file_once_links_followed(project: Path) -> None:
    made("a/x.py", "../elsewhere/y.py")
    Path("b.py").symlink_to("a/x.py")
    Path("linked").symlink_to("a")
    Path("a/far.py").symlink_to(project.parent / "elsewhere/y.py")
    Path("a/folder.py").symlink_to("..")
    assert found("") == ["b.py", "a/far.py"]
    assert found("a", "", "a/x.py") == ["a/far.py", "a/x.py"]
    assert found("linked") == ["linked/far.py", "linked/x.py"]


def test_files_outside_of_the_project(project: Path) -> None:
    made("../elsewhere/tests/y.py", "../elsewhere/x.py")
    assert found("../elsewhere", root=project) == ["../elsewhere/x.py", "../elsewhere/tests/y.py"]
    assert found("../elsewhere", exclude=["tests"], root=project) == ["../elsewhere/x.py"]
    assert found("../elsewhere/x.py", exclude=["elsewhere"], root=project, force_exclude=True) == ["../elsewhere/x.py"]
