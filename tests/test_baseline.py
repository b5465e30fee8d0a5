"""A baseline keeps what is known out of the report, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from graphfix.errors import ConfigError, WriteError
from graphfix.model import Certainty, Finding, Location
from graphfix.scan.baseline import read, write


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a.py", "b.py"):
        Path(name).write_text("")
    return tmp_path


def finding(
    code: str = "x.item()",
    line: int = 1,
    function: str = "f",
    rule: str = "GF101",
    path: str = "a.py",
    certainty: Certainty = Certainty.CERTAIN,
) -> Finding:
    return Finding(Location(path, line), rule, "message", code, certainty=certainty, function=function)


def new(known: list[Finding], found: list[Finding], path: str = "a.py") -> tuple[list[int], int]:
    """The lines of the new findings, and how many known ones matched nothing."""
    write(Path("known.json"), known)
    left, rest = read(Path("known.json")).match(path, found)
    return [one.location.line for one in left], rest.total()


def test_the_file(project: Path) -> None:
    Path("deep").mkdir()
    write(
        Path("deep/known.json"), [finding(), finding(rule="GF3"), finding(line=9), finding(path=str(project / "b.py"))]
    )
    text = Path("deep/known.json").read_text()
    assert text.endswith("}\n")
    data = json.loads(text)
    assert data["schema"] == 1
    rows = [(row["path"], row["rule"], row["function"], row["count"]) for row in data["findings"]]
    assert rows == [("../a.py", "GF101", "f", 2), ("../a.py", "GF3", "f", 1), ("../b.py", "GF101", "f", 1)]
    assert list(Path("deep").iterdir()) == [Path("deep/known.json")]
    write(Path("again.json"), [])
    assert json.loads(Path("again.json").read_text())["findings"] == []


@pytest.mark.parametrize(
    ("found", "lines"),
    [
        (finding(), []),
        (finding(line=40), []),
        (finding("    \tx.item()"), []),
        (finding(function="renamed"), []),
        (finding(path="./a.py"), []),
        (finding("y.item()"), [1]),
        (finding("x.item() + 1"), [1]),
        (finding(rule="GF102"), [1]),
    ],
)
def test_what_is_the_same(found: Finding, lines: list[int]) -> None:
    assert new([finding()], [found], found.location.path) == (lines, len(lines))


def test_another_file_is_another_place() -> None:
    assert new([finding()], [finding(path="b.py")], "b.py") == ([1], 0)


def test_a_second_one_is_new() -> None:
    assert new([finding()], [finding(line=1), finding(line=2)]) == ([2], 0)
    assert new([finding(), finding()], [finding(line=1), finding(line=2)]) == ([], 0)


def test_each_function_takes_its_own_first() -> None:
    known = [finding(function="f"), finding(function="g")]
    found = [finding(line=1, function="new"), finding(line=2, function="f"), finding(line=3, function="g")]
    assert new(known, found) == ([1], 0)
    assert new(known, found[:2]) == ([], 0)
    assert new(known, found[1:2]) == ([], 1)


def test_what_is_certain_is_known_before_what_is_likely() -> None:
    assert new([finding()], [finding(line=1, certainty=Certainty.LIKELY), finding(line=2)]) == ([1], 0)


def test_the_order_stays() -> None:
    found = [finding("a", line=3, certainty=Certainty.LIKELY), finding("b", line=4), finding("c", line=5)]
    assert new([], found) == ([3, 4, 5], 0)


def test_entries_of_files_that_are_gone() -> None:
    write(Path("known.json"), [finding(), finding(), finding(path="b.py")])
    known = read(Path("known.json"))
    assert known.gone().total() == 0
    Path("a.py").unlink()
    assert known.gone().total() == 2


ROW = '{"path": "a.py", "rule": "GF1", "function": "", "fingerprint": "", "count": 1}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "\x80",
        '{"schema": 1}',
        '{"schema": 1, "findings": [{"path": "a.py"}]}',
        '{"schema": 1, "findings": [' + ROW.replace("1}", '"1"}') + "]}",
        '{"schema": 1, "findings": [' + ROW.replace('"a.py"', "3") + "]}",
    ],
)
def test_what_is_no_baseline(text: str) -> None:
    Path("known.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"^known\.json is no baseline; write it with"):
        read(Path("known.json"))


def test_the_rows_that_were_spoilt_are_good_otherwise() -> None:
    Path("known.json").write_text(f'{{"schema": 1, "findings": [{ROW}]}}')
    assert read(Path("known.json")).counts["a.py"].total() == 1
    Path("known.json").write_text(f'{{"schema": 2, "findings": [{ROW}]}}')
    with pytest.raises(ConfigError, match="has schema 2, not 1; write it anew"):
        read(Path("known.json"))


def test_a_baseline_that_is_missing_or_cannot_be_written() -> None:
    with pytest.raises(ConfigError, match=r"absent\.json cannot be read: .*--write-baseline absent\.json\."):
        read(Path("absent.json"))
    with pytest.raises(WriteError, match=r"nowhere/known\.json cannot be written"):
        write(Path("nowhere/known.json"), [])
    Path("folder").mkdir()
    with pytest.raises(WriteError):
        write(Path("folder"), [])
    assert sorted(path.name for path in Path().iterdir()) == ["a.py", "b.py", "folder"]
