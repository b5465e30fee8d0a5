"""Scans remembered by content: the same findings, sooner, and never a wrong one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from graphfix.registry import selected
from graphfix.scan import static
from graphfix.scan.link import FileScan
from graphfix.scan.records import packed, unpacked

FILE = """
import torch


class Net{n}(torch.nn.Module):
    def forward(self, x: torch.Tensor):
        print("step {n}")  # graphfix: ignore[GF100]
        return x / x.max().item()
"""
HELPER = "import torch\n\n\ndef helper(x):\n    return torch.max(x).item()\n"
CALLER = (
    "import torch\nfrom helper import helper\n\n\nclass A(torch.nn.Module):\n    def forward(self, x):\n"
    "        return helper(x)\n"
)


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRAPHFIX_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    for n in range(30):
        Path(f"m{n:02}.py").write_text(FILE.format(n=n))
    Path("plain.py").write_text("x = 1\n")
    Path("broken.py").write_text("import torch\nprint 'x'\n")
    Path("helper.py").write_text(HELPER)
    return tmp_path


def files() -> list[Path]:
    return sorted(Path().glob("*.py"))


def remembered() -> list[FileScan]:
    return static.scan(files(), selected(), Path())


def fresh() -> list[FileScan]:
    return static.scan(files(), selected())


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were really read and searched."""
    seen: list[str] = []
    work = static.scan_text

    def counted(path: str, *rest: object) -> FileScan:
        seen.append(path)
        return work(path, *rest)

    monkeypatch.setattr(static, "scan_text", counted)
    return seen


def test_the_second_scan_reads_no_file_and_finds_the_same(read: list[str]) -> None:
    first = remembered()
    assert len(read) == 32
    read.clear()
    assert remembered() == first
    assert read == []
    assert fresh() == first
    assert sum(len(scan.findings) for scan in first) == 60


def test_only_what_changed_is_read_again(read: list[str]) -> None:
    remembered()
    read.clear()
    Path("m03.py").write_text(FILE.format(n=333))
    Path("m04.py").rename("z.py")
    second = remembered()
    assert read == ["broken.py", "m03.py"]
    assert second == fresh()


def test_a_new_caller_changes_what_another_file_shows() -> None:
    before = remembered()
    assert not next(scan for scan in before if scan.path == "helper.py").findings
    Path("caller.py").write_text(CALLER)
    after = next(scan for scan in remembered() if scan.path == "helper.py")
    assert [one.function for one in after.findings] == ["helper"]
    Path("caller.py").unlink()
    assert remembered() == before


def test_a_touched_file_is_the_same_file(read: list[str]) -> None:
    remembered()
    read.clear()
    os.utime("m01.py", (1, 1))
    remembered()
    assert read == []


@pytest.mark.parametrize("content", [b"", b"no marshal", b"\xe9\x01\x00\x00\x00", b"N"])
def test_a_spoilt_cache_is_written_anew(project: Path, content: bytes, read: list[str]) -> None:
    first = remembered()
    stored = [path for path in (project / "cache").rglob("*") if path.is_file()]
    assert len(stored) == 2
    for path in stored:
        path.write_bytes(content)
    read.clear()
    assert remembered() == first
    assert len(read) == 32
    assert all(path.read_bytes() != content for path in stored)


def test_a_folder_that_cannot_be_written_is_done_without(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "file").write_text("")
    monkeypatch.setenv("GRAPHFIX_CACHE_DIR", str(project / "file"))
    assert remembered() == fresh()


def test_other_rules_are_another_cache() -> None:
    remembered()
    few = static.scan(files(), selected(["GF1"]), Path())
    assert {one.rule for scan in few for one in scan.findings} == {"GF100"}


def test_a_record_comes_back_as_it_was() -> None:
    for path in files():
        scan = static.scan_file(path, selected())
        assert unpacked(scan.path, packed(scan)) == scan


def test_few_files_are_read_without_a_cache(project: Path) -> None:
    static.scan(files()[:3], selected(), Path())
    assert not (project / "cache").exists()


def test_processes_find_what_one_finds() -> None:
    for n in range(30, 300):
        Path(f"m{n}.py").write_text(FILE.format(n=n))
    assert static.scan(files(), selected(), jobs=2) == static.scan(files(), selected(), jobs=1)
