"""Ignore files, read as git itself reads them: git is asked, file by file."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from graphfix.scan.files import python_files
from graphfix.scan.gitignore import parsed

FILES = """
a.py b.py build.py gen/a.py gen/b.py gen/deep/a.py gen/deep/gen/b.py keep/gen/a.py keep/x.py out/x.py out/y/x.py
src/a.py src/b.py src/out/a.py src/deep/out/a.py src/deep/x1.py src/deep/x2.py src/deep/xa.py src/deep/x].py
src/#a.py src/!a.py src/name.py src/a\\b.py src/x-1.py src/xx.py docs/conf.py docs/api/conf.py docs/api/gen/conf.py
foo/bar/a.py foo/x/bar/a.py foo/x/y/bar/a.py foo/x/y/a.py ää/öö.py src/Name.py src/a_b.py src/2.py foo/bar.py
""".split()

PATTERNS = [
    "gen",
    "gen/",
    "/gen",
    "/gen/",
    "gen/*",
    "gen/**",
    "gen/*.py",
    "**/gen",
    "**/gen/",
    "**/gen/*.py",
    "/**/conf.py",
    "docs/**/conf.py",
    "docs/**",
    "foo/**/bar",
    "foo/**/bar/",
    "foo/**/",
    "foo/*/bar",
    "foo**bar",
    "foo/**bar",
    "**",
    "/**\n!foo",
    "**/**/[!a]*",
    "*",
    "/*",
    "*/",
    "*.py",
    "?.py",
    "src/?.py",
    "src/x[0-9].py",
    "src/*",
    "src/deep/*\n!src/deep/out",
    "src/deep/x[!0-9].py",
    "src/deep/x[^0-9].py",
    "src/deep/x[]].py",
    "src/deep/x[]1].py",
    "src/deep/x[12",
    "[[:what:]].py",
    "x[[:digit:]].py",
    "[[:upper:]]ame.py",
    "x[-1]1.py",
    "src/x[--1]1.py",
    "x[!a]1.py",
    r"\#a.py",
    r"\!a.py",
    "#a.py",
    "!a.py",
    r"src/a\\b.py",
    "src/a\\b.py",
    "a.py ",
    "a.py\t",
    r"a.py\ ",
    "a.py\r",
    "src/a.py\\",
    " a.py",
    "out",
    "src/out",
    "/src/*/out",
    "src/deep/x*.py\n!src/deep/xa.py",
    "*.py\n!a.py",
    "/*\n!/src",
    "src\n!src/a.py",
    "src/*\n!src/a.py\n!src/deep/\nsrc/deep/x1.py",
    "!a.py\na.py",
    "a.py\n!gen/a.py\n/gen/deep",
    "ää",
    "öö.py",
    "ä*",
    "\ufeffa.py",
    "a.py\n\n# b.py\nb.py",
    "x{1,2}.py",
    "(a|b).py",
    "a+.py",
    "src/[a-].py",
    "src[/]a.py",
    "src?a.py",
    "./a.py",
    "/",
    "//",
    "gen//",
    "foo/../a.py",
]


def written(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")


def taken_by_git(root: Path) -> set[str]:
    """The Python files that git does not ignore."""
    command = ["git", "-c", "core.excludesFile=/dev/null", "ls-files", "-z", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, check=True).stdout.decode()
    return {name for name in listed.split("\0") if name.endswith(".py")}


def taken(root: Path) -> set[str]:
    return {path.as_posix() for path in (Path(os.path.relpath(file, root)) for file in python_files([root], root=root))}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository").resolve()
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    written(root, dict.fromkeys(FILES, ""))
    return root


@pytest.mark.parametrize("patterns", PATTERNS)
def test_patterns_mean_what_git_says(repository: Path, patterns: str) -> None:
    written(repository, {".gitignore": patterns + "\n"})
    assert taken(repository) == taken_by_git(repository)


def test_an_invalid_pattern_is_left_out() -> None:
    file = parsed("/project", "x[2-1].py\nb.py\n")
    assert file is not None
    assert [file.verdict("/project/", name) for name in ("x1.py", "b.py")] == [None, True]
    assert parsed("/project", "x[2-1].py\n") is None


def test_something_is_ignored_and_something_is_not(repository: Path) -> None:
    written(repository, {".gitignore": "gen/\n"})
    assert set(FILES) - taken(repository) == {name for name in FILES if "gen/" in name}


def test_nested_files_exclude_and_repositories(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "inner"], cwd=tmp_path, check=True)
    root = tmp_path / "inner"
    names = ["a.py", "b.py", "c.py", "src/a.py", "src/b.py", "src/deep/a.py", "src/deep/b.py", "only/x.py", "only/y.py"]
    written(root, dict.fromkeys(names, ""))
    written(tmp_path, {".gitignore": "*\n"})  # outside of the repository
    written(
        root,
        {
            ".gitignore": "a.py\n/src/b.py\n",
            "src/.gitignore": "!a.py\nb.py\n",
            "src/deep/.gitignore": "/a.py\n!b.py\n",
            "only/.gitignore": "*\n!x.py\n",
            ".git/info/exclude": "c.py\n",
        },
    )
    assert taken(root) == taken_by_git(root) == {"b.py", "src/a.py", "src/deep/b.py", "only/x.py"}
    below = {path.relative_to(root).as_posix() for path in python_files([root / "src/deep"], root=root)}
    assert below == {"src/deep/b.py"}
    written(root, {"src/deep/vendored/.git/HEAD": "", "src/deep/vendored/a.py": ""})
    assert "src/deep/vendored/a.py" in taken(root)


def test_outside_of_a_repository_and_switched_off(tmp_path: Path) -> None:
    written(tmp_path, {"a.py": "", "gen/b.py": "", "gen/.gitignore": "b.py\n", ".gitignore": "a.py\n"})
    assert taken(tmp_path) == set()
    assert [path.name for path in python_files([tmp_path], root=tmp_path, gitignore=False)] == ["a.py", "b.py"]


def test_what_is_named_is_taken(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    written(tmp_path, {"gen/a.py": "", "gen/b.py": "", ".gitignore": "gen/\nb.py\n"})
    assert taken(tmp_path) == set()
    assert [path.name for path in python_files([tmp_path / "gen/b.py"], root=tmp_path)] == ["b.py"]
    assert [path.name for path in python_files([tmp_path / "gen"], root=tmp_path)] == ["a.py"]
