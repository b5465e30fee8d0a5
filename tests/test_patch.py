"""The patch: applied by git and by patch, as people do, to copies of the files."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Run

from graphfix.prove.patch import patch
from graphfix.source.sources import Sources
from graphfix.source.text import read

LATIN = "# coding: latin-1\nname = 'caf\xe9'\nb = one()\n".encode("latin-1")
FILES = {
    "plain": b"a = 1\nb = one()\nc = 3\n",
    "no newline at the end": b"a = 1\nb = one()",
    "crlf": b"a = 1\r\nb = one()\r\nc = 3\r\n",
    "crlf and no newline at the end": b"a = 1\r\nb = one()",
    "mixed endings": b"a = 1\r\nb = one()\nc = 3\r\n",
    "bom": b"\xef\xbb\xbfb = one()\nc = 3\n",
    "bom and crlf": b"\xef\xbb\xbfb = one()\r\nc = 3\r\n",
    "latin-1": LATIN,
    "utf-8": "name = '長'\nb = one()  # é\n".encode(),
    "shift-jis": "# coding: shift_jis\nname = 'ソ表'\nb = one()\n".encode("shift_jis"),
    "form feed and separators": b"a = 1\n\x0c\nb = one()\nc = 'x\xe2\x80\xa8y\x0cz'\n",
    "far apart": b"b = one()\n" + b"x = 1\n" * 50 + b"c = one()\n",
    "looks like a patch": b"--- a/x\n+++ b/x\n@@ -1 +1 @@\nb = one()\n",
}
NAMES = ("plain.py", "sub folder/b.py", "süb/長.py", 'quo"ted/back\\slash.py', "tab\there.py")
TOOLS = {"git": ["git", "apply", "--verbose"], "patch": ["patch", "-p1", "--fuzz=0", "-i"]}
with_both = pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)


def patched(*paths: Path) -> Sources:
    return Sources({str(path): read(str(path)).text.replace("one()", "two()") for path in paths})


def apply(tool: list[str], content: bytes, folder: Path) -> None:
    (folder / "fix.patch").write_bytes(content)
    done = subprocess.run([*tool, "fix.patch"], cwd=folder, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert not any(word in said for word in ("offset", "fuzz", "garbage", "Stripping")), said


@with_both
@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_every_byte_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: list[str], content: bytes) -> None:
    monkeypatch.chdir(tmp_path)
    files = [tmp_path / name for name in ("a.py", "b.py")]
    for file in files:
        file.write_bytes(content)
    apply(tool, patch(patched(*files)), tmp_path)
    assert [file.read_bytes() for file in files] == [content.replace(b"one()", b"two()")] * 2


@with_both
def test_names_that_must_be_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    files = [tmp_path / name for name in NAMES]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(LATIN)
    apply(tool, patch(patched(*files)), tmp_path)
    assert [file.read_bytes() for file in files] == [LATIN.replace(b"one()", b"two()")] * len(files)


@with_both
@pytest.mark.parametrize("environment", ["work/.venv/lib", "elsewhere/lib"])
def test_the_project_and_an_installed_package_in_one_patch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: list[str], environment: str
) -> None:
    """Its paths count from the folder around both, and its first line says so where that is not the current one."""
    own, installed = tmp_path / "work/src/pack/a.py", tmp_path / environment / "site-packages/pack/a.py"
    for file in (own, installed):
        file.parent.mkdir(parents=True)
        file.write_bytes(FILES["crlf"])
    monkeypatch.chdir(tmp_path / "work")
    root = tmp_path / "work" if environment.startswith("work") else tmp_path
    content = patch(patched(own, installed))
    assert content.startswith(b"--- a/" if root == Path.cwd() else f"The paths count from {root}\n".encode())
    apply(tool, content, root)
    assert {file.read_bytes() for file in (own, installed)} == {FILES["crlf"].replace(b"one()", b"two()")}


@with_both
def test_an_installed_package_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: list[str]) -> None:
    installed = tmp_path / "site-packages/pack/a.py"
    installed.parent.mkdir(parents=True)
    installed.write_bytes(FILES["plain"])
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    content = patch(patched(installed))
    assert content.splitlines()[:2] == [
        f"The paths count from {tmp_path / 'site-packages'}".encode(),
        b"--- a/pack/a.py",
    ]
    apply(tool, content, tmp_path / "site-packages")
    assert installed.read_bytes() == FILES["plain"].replace(b"one()", b"two()")


@with_both
@pytest.mark.parametrize("autocrlf", ["true", "false"])
def test_in_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: list[str], autocrlf: str) -> None:
    """In a folder below the top, with the line endings that git converts."""
    folder = tmp_path / "repo/sub"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    files = [folder / name for name in ("lf.py", "crlf.py")]
    files[0].write_bytes(FILES["plain"])
    files[1].write_bytes(FILES["crlf"])
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "core.safecrlf=false"]
    for command in (["init", "-q", ".."], ["config", "core.autocrlf", autocrlf], ["add", "."], ["commit", "-qm", "a"]):
        subprocess.run([*git, *command], check=True)
    wanted = [file.read_bytes().replace(b"one()", b"two()") for file in files]
    apply(tool, patch(patched(*files)), folder)
    if tool[0] == "git" and autocrlf == "true":  # git writes what it checks out: CRLF
        wanted[0] = wanted[0].replace(b"\n", b"\r\n")
    assert [file.read_bytes() for file in files] == wanted


def test_nothing_is_an_empty_patch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").write_text("a = 1\n")
    assert patch(Sources()) == patch(Sources({str(tmp_path / "a.py"): "a = 1\n"})) == b""


LAYER = """
import torch

class Layer(torch.nn.Module):
    def forward(self, x):
        print("caf\xe9")
        return x * 2
"""


@with_both
def test_as_the_command_writes_it(graphfix: Run, tmp_path: Path, tool: list[str]) -> None:
    """`--diff` prints the bytes that `--patch` writes, whatever the terminal's encoding."""
    content = ("# coding: latin-1" + LAYER).replace("\n", "\r\n").encode("latin-1")
    (tmp_path / "layer.py").write_bytes(content)
    assert graphfix("apply", ".", "--patch", "fix.patch").returncode == 0
    assert (tmp_path / "layer.py").read_bytes() == content
    root = str(Path(__file__).resolve().parent.parent)
    printed = subprocess.run(
        [sys.executable, "-m", "graphfix", "apply", ".", "--diff"],
        cwd=tmp_path,
        env={"PYTHONPATH": root, "PYTHONIOENCODING": "ascii", "PATH": "/usr/bin:/bin"},
        capture_output=True,
    )
    assert printed.returncode == 1, printed.stderr
    assert printed.stdout == (tmp_path / "fix.patch").read_bytes()
    shutil.copytree(tmp_path, tmp_path / "copy")
    apply(tool, printed.stdout, tmp_path / "copy")
    assert graphfix("apply", ".").returncode == 0
    assert (tmp_path / "copy/layer.py").read_bytes() == (tmp_path / "layer.py").read_bytes() != content
