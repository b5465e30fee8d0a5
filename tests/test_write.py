"""Files are written all or nothing, and `undo` brings every byte back."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from graphfix.apply.write import undo, write_files
from graphfix.errors import GraphfixError, WriteError


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".graphfix-*")]


@pytest.mark.parametrize(
    ("before", "text", "after"),
    [
        (b"a = 1\n", "a = 2\n", b"a = 2\n"),
        (b"a = 1\r\n", "a = 2\r\n", b"a = 2\r\n"),
        (b"\xef\xbb\xbfa = 1", "a = '\u9577'", b"\xef\xbb\xbfa = '\xe9\x95\xb7'"),
        (b"# coding: latin-1\n'\xe9'\n", "# coding: latin-1\n'\xe8'\n", b"# coding: latin-1\n'\xe8'\n"),
    ],
)
def test_encoding_and_endings_stay_and_undo_restores(tmp_path: Path, before: bytes, text: str, after: bytes) -> None:
    file = tmp_path / "a.py"
    file.write_bytes(before)
    assert write_files({str(file): text}, tmp_path) == [str(file)]
    assert file.read_bytes() == after
    assert undo(tmp_path) == [str(file)]
    assert file.read_bytes() == before
    with pytest.raises(WriteError, match="there is nothing to undo"):
        undo(tmp_path)
    assert sorted(path.name for path in (tmp_path / ".graphfix").iterdir()) == [".gitignore"]


def test_mode_owner_and_link_stay(tmp_path: Path) -> None:
    file, link = tmp_path / "real.py", tmp_path / "sub/link.py"
    link.parent.mkdir()
    file.write_text("a = 1\n")
    file.chmod(0o751)
    if os.geteuid() == 0:
        os.chown(file, 4321, 4321)
    owner = file.stat().st_uid
    link.symlink_to(file)
    assert write_files({str(link): "a = 2\n"}, tmp_path) == [str(file)]
    assert link.is_symlink()
    assert file.read_text() == "a = 2\n"
    assert (file.stat().st_mode & 0o777, file.stat().st_uid) == (0o751, owner)
    assert not leftovers(tmp_path)


def test_a_character_that_the_encoding_lacks_changes_nothing(tmp_path: Path) -> None:
    one, two = tmp_path / "a.py", tmp_path / "b.py"
    one.write_text("a = 1\n")
    two.write_text("# coding: ascii\n")
    with pytest.raises(GraphfixError, match="ascii cannot hold"):
        write_files({str(one): "a = 2\n", str(two): "# coding: ascii\n# é\n"}, tmp_path)
    assert one.read_text() == "a = 1\n"


def test_all_or_nothing_and_the_earlier_undo_survives(tmp_path: Path) -> None:
    one = tmp_path / "a.py"
    one.write_text("a = 1\n")
    write_files({str(one): "a = 2\n"}, tmp_path)
    with pytest.raises(WriteError, match=r"/proc/version: .*; nothing was changed\."):
        write_files({str(one): "a = 3\n", "/proc/version": "b = 2\n"}, tmp_path)
    assert one.read_text() == "a = 2\n"
    assert not leftovers(tmp_path)
    undo(tmp_path)
    assert one.read_text() == "a = 1\n"


def test_a_journal_that_cannot_be_kept_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("a = 1\n")
    (tmp_path / ".graphfix").write_text("in the way")
    with pytest.raises(WriteError, match=r"\.graphfix: .*; nothing was changed\."):
        write_files({str(file): "a = 2\n"}, tmp_path)
    assert file.read_text() == "a = 1\n"


@pytest.mark.parametrize("locked", ["a.py", "."])
def test_read_only_files_and_folders_are_left_alone(locked: str) -> None:
    """In a process without root's rights."""
    with tempfile.TemporaryDirectory() as name:
        folder, home = Path(name) / "code", Path(name) / "home"
        file = folder / "a.py"
        for made in (folder, home):
            made.mkdir()
        file.write_text("a = 1\n")
        for path in (Path(name), home, folder, file):
            path.chmod(0o777)
        (folder / locked).chmod(0o555)
        assert as_nobody(lambda: write_files({str(file): "a = 2"}, home)).startswith(f"{file}: ")
        assert file.read_text() == "a = 1\n"
        assert not leftovers(Path(name))
        assert not (home / ".graphfix/undo.json").exists()
        (folder / locked).chmod(0o777)
        assert as_nobody(lambda: write_files({str(file): "a = 2"}, home)) == ""
        assert file.read_text() == "a = 2"


@pytest.mark.skipif(os.geteuid() != 0, reason="takes a folder of another user")
def test_a_file_already_replaced_is_put_back() -> None:
    """In a folder as /tmp, whose files only their owner may replace, the second write fails after the first."""
    with tempfile.TemporaryDirectory() as name:
        files = [Path(name) / "free/a.py", Path(name) / "sticky/b.py"]
        Path(name).chmod(0o777)
        for file, mode in zip(files, (0o777, 0o1777), strict=True):
            file.parent.mkdir()
            file.write_text("a = 1\n")
            file.parent.chmod(mode)
            file.chmod(0o666)
        said = as_nobody(lambda: write_files({str(file): "a = 2\n" for file in files}, Path(name)))
        assert said.startswith(f"{files[1]}: ")
        assert [file.read_text() for file in files] == ["a = 1\n", "a = 1\n"]
        assert not leftovers(Path(name))
        assert not (Path(name) / ".graphfix/undo.json").exists()


def as_nobody(action: Callable[[], object]) -> str:
    """What WriteError says when a forked process does it without root's rights; empty where there is none."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            action()
        except WriteError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as pipe:
        return pipe.read()


def test_undo_refuses_after_an_edit_and_then_changes_nothing(tmp_path: Path) -> None:
    one, two = tmp_path / "a.py", tmp_path / "b.py"
    for file in (one, two):
        file.write_text("a = 1\n")
    write_files({str(one): "a = 2\n", str(two): "a = 2\n"}, tmp_path)
    two.write_text("mine = 1\n")
    with pytest.raises(WriteError, match=r"b\.py was changed after graphfix wrote it"):
        undo(tmp_path)
    assert (one.read_text(), two.read_text()) == ("a = 2\n", "mine = 1\n")
    two.unlink()
    with pytest.raises(WriteError, match=r"b\.py was changed"):
        undo(tmp_path)


def test_undo_takes_back_the_last_write_only(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    for number in (1, 2, 3):
        if number > 1:
            write_files({str(file): f"a = {number}\n"}, tmp_path)
        else:
            file.write_text("a = 1\n")
    undo(tmp_path)
    assert file.read_text() == "a = 2\n"


@pytest.mark.parametrize("damage", ["undo.json", "original"])
def test_undo_with_a_damaged_journal(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "a.py"
    file.write_text("a = 1\n")
    write_files({str(file): "a = 2\n"}, tmp_path)
    kept = next(path for path in (tmp_path / ".graphfix").iterdir() if len(path.name) == 64)
    (tmp_path / ".graphfix/undo.json" if damage == "undo.json" else kept).write_text("broken")
    with pytest.raises(WriteError, match="restore"):
        undo(tmp_path)
    assert file.read_text() == "a = 2\n"
