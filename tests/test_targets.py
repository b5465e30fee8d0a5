"""What the command line names: targets, files, folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphfix.config import Config
from graphfix.errors import GraphfixError, TargetError, UsageError
from graphfix.model import Target
from graphfix.scan.targets import decorated_targets, module_and_name, only_targets, select

DECORATED = """
import graphfix
import graphfix as gf
from graphfix import Call, target as mark

@graphfix.target
def one(): ...

@other.target
def no(): ...

@gf.target
async def two(): ...

@Call
def neither(): ...

@cache
@mark
def three(): ...

@target
def not_ours(): ...

class A:
    @mark
    def inner(self): ...
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "flow.py").write_text(DECORATED)
    (tmp_path / "plain.py").write_text("def f(): ...\n")
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*arguments: str, config: Config | None = None) -> list[str]:
    return [target.spec for target in select(arguments, config or Config(Path())).targets]


def test_specs() -> None:
    assert names("plain.py::f") == ["plain.py::f"]
    assert names("package.module::name") == ["package.module::name"]
    assert module_and_name(Target("a/b.py::f", "f")) == (None, "a/b.py", "f")
    assert module_and_name(Target("a.b::f", "f")) == ("a.b", None, "f")


def test_a_file_stands_for_its_decorated_functions() -> None:
    assert decorated_targets(Path("flow.py")) == ["one", "two", "three"]
    assert names("flow.py") == ["flow.py::one", "flow.py::two", "flow.py::three"]


@pytest.mark.parametrize("argument", ["plain.py", "broken.py", "folder", "."])
def test_other_paths_stand_for_themselves(argument: str) -> None:
    found = select([argument], Config(Path()))
    assert (found.targets, found.paths) == ([], [Path(argument)])


def test_names_from_the_config(project: Path) -> None:
    (project / "folder/t.py").write_text("")
    config = Config(project / "folder", {"flow": "t.py::build", "other": "package.module::f"})
    expected = [Target(f"{project}/folder/t.py::build", "flow"), Target("package.module::f", "other")]
    assert select(["flow"], config).targets == expected[:1]
    assert select([], config).targets == expected
    assert select([], config).paths == []
    assert select([], Config(project)).paths == [Path()]


@pytest.mark.parametrize(
    ("argument", "error", "message"),
    [
        ("gone.py", UsageError, "gone.py does not exist; name a file, a folder or a target"),
        ("gone.py::f", TargetError, "gone.py does not exist; correct the path before the '::'."),
        ("folder.py::f", TargetError, "folder.py does not exist"),
        ("plain.py::", TargetError, "'plain.py::' is no target; write file.py::function"),
        ("::f", TargetError, "'::f' is no target"),
        ("plain.py::f()", TargetError, "is no target"),
        ("a/b::f", TargetError, "'a/b' is neither a .py file nor a module"),
        ("flow", UsageError, "flow does not exist"),
    ],
)
def test_what_is_not_there(argument: str, error: type[GraphfixError], message: str) -> None:
    with pytest.raises(error) as caught:
        select([argument], Config(Path()))
    assert message in str(caught.value)
    assert str(caught.value).count(". ") == 0


def test_a_configured_name_that_is_no_target() -> None:
    with pytest.raises(TargetError, match=r"target 'flow' in .* is 'plain.py'; write it as file.py::function"):
        select(["flow"], Config(Path(), {"flow": "plain.py"}))


def test_commands_that_need_targets() -> None:
    assert [target.name for target in only_targets(["flow.py"], Config(Path()))] == ["one", "two", "three"]
    for arguments, message in [([], "no target is named"), (["plain.py"], "plain.py defines no target")]:
        with pytest.raises(UsageError, match=message):
            only_targets(arguments, Config(Path()))
