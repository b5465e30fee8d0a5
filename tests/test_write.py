"""Files are written all or nothing, and `undo` brings every byte back."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from graphfix.apply import exchange
from graphfix.apply.journal import opened
from graphfix.apply.write import undo, write_files
from graphfix.errors import GraphfixError, WriteError

ROOT = Path(__file__).resolve().parent.parent


def write(root: Path, texts: dict[Path, str], scope: Path | None = None) -> list[str]:
    """Write as `graphfix apply` does; the files are as they were read."""
    with opened(root) as journal:
        return write_files(journal, {str(path): text for path, text in texts.items()}, {}, [scope or root])


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".graphfix-*")]


def kept(folder: Path) -> list[str]:
    """What is in a journal for good."""
    return sorted(path.name[:9] for path in (folder / ".graphfix").iterdir())


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
    assert write(tmp_path, {file: text}) == [str(file)]
    assert file.read_bytes() == after
    assert undo(tmp_path) == [str(file)]
    assert file.read_bytes() == before
    with pytest.raises(WriteError, match="there is nothing to undo"):
        undo(tmp_path)
    assert kept(tmp_path) == [".gitignor", "lock"]


def test_mode_owner_attributes_and_link_stay(tmp_path: Path) -> None:
    file, link = tmp_path / "real.py", tmp_path / "sub/link.py"
    link.parent.mkdir()
    file.write_text("a = 1\n")
    file.chmod(0o751)
    if os.geteuid() == 0:
        os.chown(file, 4321, 4321)
    attributes = attribute(file, b"kept")
    owner = file.stat().st_uid
    link.symlink_to(file)
    assert write(tmp_path, {link: "a = 2\n"}) == [str(file)]
    assert link.is_symlink()
    assert file.read_text() == "a = 2\n"
    undo(tmp_path)
    assert (file.stat().st_mode & 0o777, file.stat().st_uid) == (0o751, owner)
    assert attribute(file) == attributes
    assert not leftovers(tmp_path)


def attribute(file: Path, value: bytes | None = None) -> bytes | None:
    """Set or get an extended attribute, where the file system has them."""
    try:
        if value is not None:
            os.setxattr(file, "user.graphfix", value)
        return os.getxattr(file, "user.graphfix")
    except (AttributeError, OSError):
        return None


def test_a_hard_link_elsewhere_keeps_the_old_content(tmp_path: Path) -> None:
    """As where a package manager links installed files to its cache, which other projects share."""
    file, cached = tmp_path / "a.py", tmp_path / "cached.py"
    cached.write_text("a = 1\n")
    os.link(cached, file)
    write(tmp_path, {file: "a = 2\n"})
    assert (file.read_text(), cached.read_text()) == ("a = 2\n", "a = 1\n")


def test_nothing_outside_the_scope_is_touched(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in/a.py", tmp_path / "out/b.py"
    for file in (inside, outside):
        file.parent.mkdir()
        file.write_text("a = 1\n")
    (tmp_path / "in/link.py").symlink_to(outside)
    for path in (outside, tmp_path / "in/link.py", tmp_path / "in/../out/b.py"):
        with pytest.raises(WriteError, match=r"out/b\.py lies outside the scope"):
            write(tmp_path, {inside: "a = 2\n", path: "a = 2\n"}, scope=tmp_path / "in")
    assert (inside.read_text(), outside.read_text()) == ("a = 1\n", "a = 1\n")
    assert write(tmp_path, {inside: "a = 2\n"}, scope=inside) == [str(inside)]


@pytest.mark.parametrize("meanwhile", [b"a = 9\n", b"\xff", None])
def test_a_file_that_changed_since_it_was_read_is_not_overwritten(tmp_path: Path, meanwhile: bytes | None) -> None:
    one, two = tmp_path / "a.py", tmp_path / "b.py"
    one.write_text("a = 1\n")
    if meanwhile is not None:
        two.write_bytes(meanwhile)
    texts = {str(one): "a = 2\n", str(two): "b = 2\n"}
    with opened(tmp_path) as journal, pytest.raises(WriteError, match=r"b\.py was changed while it was worked on"):
        write_files(journal, texts, {str(one): "a = 1\n", str(two): "b = 1\n"}, [tmp_path])
    assert one.read_text() == "a = 1\n"
    assert kept(tmp_path) == [".gitignor", "lock"]


def test_a_file_that_changes_while_the_others_are_staged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = tmp_path / "a.py", tmp_path / "b.py"
    for file in (one, two):
        file.write_text("a = 1\n")
    stage = exchange._stage

    def edit_and_stage(place: Path, content: bytes, like: Path) -> None:
        stage(place, content, like)
        one.write_text("a = 9\n")

    monkeypatch.setattr(exchange, "_stage", edit_and_stage)
    with pytest.raises(WriteError, match=r"a\.py was changed meanwhile; nothing was written"):
        write(tmp_path, {one: "a = 2\n", two: "a = 2\n"})
    assert (one.read_text(), two.read_text()) == ("a = 9\n", "a = 1\n")
    assert kept(tmp_path) == [".gitignor", "lock"]


def test_a_character_that_the_encoding_lacks_changes_nothing(tmp_path: Path) -> None:
    one, two = tmp_path / "a.py", tmp_path / "b.py"
    one.write_text("a = 1\n")
    two.write_text("# coding: ascii\n")
    with pytest.raises(GraphfixError, match="ascii cannot hold"):
        write(tmp_path, {one: "a = 2\n", two: "# coding: ascii\n# é\n"})
    assert one.read_text() == "a = 1\n"


def test_all_or_nothing_and_the_earlier_undo_survives(tmp_path: Path) -> None:
    one = tmp_path / "a.py"
    one.write_text("a = 1\n")
    write(tmp_path, {one: "a = 2\n"})
    with pytest.raises(WriteError, match=r"/proc/version: .*; nothing was changed\."):
        write(tmp_path, {one: "a = 3\n", Path("/proc/version"): "b = 2\n"}, scope=Path("/"))
    assert one.read_text() == "a = 2\n"
    assert not leftovers(tmp_path)
    undo(tmp_path)
    assert one.read_text() == "a = 1\n"


@pytest.mark.parametrize("call", ["fsync", "fchmod", "replace", "fork"])
@pytest.mark.parametrize("number", range(6))
def test_a_full_disk_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int) -> None:
    """No space left, at every step that may ask for some; the write before it can still be taken back."""
    files = [tmp_path / name for name in ("a.py", "b.py")]
    for file in files:
        file.write_text("a = 1\n")
    write(tmp_path, dict.fromkeys(files, "a = 2\n"))
    usual, calls = getattr(os, call), iter(range(99))

    def failing(*arguments: object) -> object:
        if next(calls) == number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return usual(*arguments)

    monkeypatch.setattr(os, call, failing)
    said = ""
    try:
        write(tmp_path, dict.fromkeys(files, "a = 3\n"))
    except WriteError as error:
        said = str(error)
    monkeypatch.undo()
    assert {file.read_text() for file in files} == {"a = 2\n" if said else "a = 3\n"}
    assert said.endswith("No space left on device; nothing was changed.") or (not said and number)
    assert not leftovers(tmp_path)
    undo(tmp_path)
    assert {file.read_text() for file in files} == {"a = 1\n" if said else "a = 2\n"}


def test_a_really_full_disk(tmp_path: Path) -> None:
    """A file system of 64 KiB, mounted in a namespace of this process's child."""
    script = """
from pathlib import Path
root, file = Path.cwd(), Path("a.py").resolve()
file.write_text("a = 1\\n" * 5000)
with opened(root) as journal:
    try: write_files(journal, {str(file): "b = 2\\n" * 5000}, {}, [root])
    except Exception as error: print(error)
assert file.read_text() == "a = 1\\n" * 5000
print(sorted(path.name for path in Path(".graphfix").iterdir()))
"""
    said, left = mounted(tmp_path, "mount -t tmpfs -o size=64k none .", script)
    assert said.endswith("No space left on device; nothing was changed.")
    assert left == "['.gitignore', 'lock']"


def test_mounts_of_one_file_system(tmp_path: Path) -> None:
    """No rename crosses from one to the other; a file that is a mount itself cannot be replaced at all."""
    script = """
from pathlib import Path
root, files = Path.cwd(), [Path("sub/a.py").resolve(), Path("b.py").resolve()]
with opened(root) as journal:
    for which in (files[:1], files):
        try: print(len(write_files(journal, {str(file): f"a = {len(which)}\\n" for file in which}, {}, [root])))
        except Exception as error: print(error)
print(*[file.read_text().strip() for file in files], *[path.name for path in Path("sub").iterdir()])
"""
    (tmp_path / "sub").mkdir()
    (tmp_path / "other").mkdir()
    for name in ("other/a.py", "b.py"):
        (tmp_path / name).write_text("a = 0\n")
    said = mounted(tmp_path, "mount --bind other sub && mount --bind b.py b.py", script)
    assert said == ["1", f"{tmp_path / 'b.py'}: Device or resource busy; nothing was changed.", "a = 1 a = 0 a.py"]


def mounted(folder: Path, mount: str, script: str) -> list[str]:
    """What a script prints that runs in the folder after something was mounted there, seen by that process alone."""
    if shutil.which("unshare") is None:
        pytest.skip("takes unshare, of Linux")
    head = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom graphfix.apply.journal import opened\n"
    head += "from graphfix.apply.write import write_files\n"
    steps = f'{mount} || exit 77; cd "$PWD"; exec {sys.executable} -c "$1"'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", steps, "sh", head + script], cwd=folder, capture_output=True, text=True
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_journal_that_cannot_be_kept_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("a = 1\n")
    (tmp_path / ".graphfix").write_text("in the way")
    with pytest.raises(WriteError, match=r"\.graphfix: .*; nothing was changed\."):
        write(tmp_path, {file: "a = 2\n"})
    assert file.read_text() == "a = 1\n"


def test_a_file_without_write_permission_is_left_alone_by_root_too(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("a = 1\n")
    file.chmod(0o444)
    with pytest.raises(WriteError, match=r"a\.py: it is read-only; nothing was changed\."):
        write(tmp_path, {file: "a = 2\n"})
    assert file.read_text() == "a = 1\n"
    assert kept(tmp_path) == [".gitignor", "lock"]


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
        assert as_nobody(lambda: write(home, {file: "a = 2"}, folder)).startswith(f"{file}: it")
        assert file.read_text() == "a = 1\n"
        assert not leftovers(Path(name))
        assert not (home / ".graphfix/undo.json").exists()
        (folder / locked).chmod(0o777)
        assert as_nobody(lambda: write(home, {file: "a = 2"}, folder)) == ""
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
        said = as_nobody(lambda: write(Path(name), dict.fromkeys(files, "a = 2\n")))
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
    write(tmp_path, {one: "a = 2\n", two: "a = 2\n"})
    two.write_text("mine = 1\n")
    with pytest.raises(WriteError, match=r"b\.py was changed after graphfix wrote it"):
        undo(tmp_path)
    assert (one.read_text(), two.read_text()) == ("a = 2\n", "mine = 1\n")
    two.unlink()
    with pytest.raises(WriteError, match=r"b\.py was changed"):
        undo(tmp_path)
    two.write_text("a = 1\n")  # restored by hand, as the sentence says
    assert undo(tmp_path) == [str(one)]


def test_undo_takes_back_the_last_write_only(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("a = 1\n")
    for number in (2, 3):
        write(tmp_path, {file: f"a = {number}\n"})
    undo(tmp_path)
    assert file.read_text() == "a = 2\n"
    assert write(tmp_path, {file: "a = 2\n"}) == []


@pytest.mark.parametrize("damage", ["undo.json", "original"])
def test_undo_with_a_damaged_journal(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "a.py"
    file.write_text("a = 1\n")
    write(tmp_path, {file: "a = 2\n"})
    original = next(path for path in (tmp_path / ".graphfix").iterdir() if len(path.name) == 64)
    (tmp_path / ".graphfix/undo.json" if damage == "undo.json" else original).write_text("broken")
    with pytest.raises(WriteError, match="restore"):
        undo(tmp_path)
    assert file.read_text() == "a = 2\n"


def test_one_at_a_time(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("a = 1\n")
    with opened(tmp_path), pytest.raises(WriteError, match=r"another graphfix works on .*; wait until it is done"):
        write(tmp_path, {file: "a = 2\n"})
    write(tmp_path, {file: "a = 2\n"})
    with opened(tmp_path), pytest.raises(WriteError, match="another graphfix works on"):
        undo(tmp_path)
    assert undo(tmp_path) == [str(file)]


def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        with opened(tmp_path):
            os.write(writer, b"!")
            signal.pause()
    os.read(reader, 1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with opened(tmp_path):
        pass


def test_the_journal_is_hidden_from_git_again(tmp_path: Path) -> None:
    """A kill in the very first moment may leave an empty .gitignore."""
    (tmp_path / ".graphfix").mkdir()
    (tmp_path / ".graphfix/.gitignore").touch()
    with opened(tmp_path):
        assert (tmp_path / ".graphfix/.gitignore").read_text() == "*\n"


def test_files_on_another_file_system_are_staged_beside_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "_one_file_system", lambda home, folder: False)
    file = tmp_path / "a.py"
    file.write_text("a = 1\n")
    write(tmp_path, {file: "a = 2\n"})
    assert file.read_text() == "a = 2\n"
    undo(tmp_path)
    assert file.read_text() == "a = 1\n"
    assert not leftovers(tmp_path)


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="takes a second file system")
def test_two_file_systems(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        here, there = tmp_path / "a.py", Path(name) / "b.py"
        for file in (here, there):
            file.write_text("a = 1\n")
        assert exchange._one_file_system(tmp_path, tmp_path)
        assert not exchange._one_file_system(tmp_path, Path(name)) or tmp_path.stat().st_dev == there.stat().st_dev
        write(tmp_path, {here: "a = 2\n", there: "a = 2\n"}, scope=Path("/"))
        assert (here.read_text(), there.read_text()) == ("a = 2\n", "a = 2\n")
        undo(tmp_path)
        assert (here.read_text(), there.read_text()) == ("a = 1\n", "a = 1\n")
        assert leftovers(Path(name)) == []


def test_the_journal_names_its_files(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("a = 1\n")
    write(tmp_path, {file: "a = 2\n"})
    record = json.loads((tmp_path / ".graphfix/undo.json").read_text())
    assert record["schema"] == 1
    assert [entry["path"] for entry in record["files"]] == [str(file)]
