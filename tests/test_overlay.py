"""The overlay folder and the patch file: made here, used by real processes."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from graphfix.errors import WriteError
from graphfix.prove import overlay
from graphfix.source.sources import Sources

ROOT = Path(__file__).resolve().parent.parent
BEFORE = b"from .other import one\n\ndef two():\n    return one\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package whose `mod.py` a fix patches."""
    folder = tmp_path / "site-packages/pack"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "other.py").write_text("one = 1\n")
    (folder / "mod.py").write_bytes(BEFORE)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.syspath_prepend(folder.parent)
    return folder


def patched(path: Path, old: str = "return one", new: str = "return one + 41") -> Sources:
    text = Sources().module(str(path)).text
    assert old in text
    return Sources({str(path): text.replace(old, new)})


def imports(package: Path, script: str) -> subprocess.CompletedProcess[str]:
    head = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(package.parent)!r}]; import graphfix\n"
    return subprocess.run([sys.executable, "-c", head + script], capture_output=True, text=True, check=False)


def test_saved_and_loaded_in_another_process(package: Path) -> None:
    written = overlay.save(patched(package / "mod.py"), Path("over"))
    assert written == ["over/pack/mod.py", "over/graphfix.json"]
    manifest = json.loads(Path("over/graphfix.json").read_text())
    digest = hashlib.sha256(BEFORE).hexdigest()
    assert manifest == {"schema": 1, "files": [{"path": "pack/mod.py", "sha256": digest}]}
    assert imports(package, "import pack.mod; print(pack.mod.two())").stdout == "1\n"
    done = imports(
        package, "graphfix.install_overlay('over'); import pack.mod; print(pack.mod.two(), 'torch' in sys.modules)"
    )
    assert (done.stdout, done.stderr) == ("42 False\n", "")
    assert (package / "mod.py").read_bytes() == BEFORE


def test_too_late_is_an_error(package: Path) -> None:
    overlay.save(patched(package / "mod.py"), Path("over"))
    done = imports(package, "import pack.mod; graphfix.install_overlay('over')")
    assert "pack.mod is imported already; install the overlay before." in done.stderr
    twice = "graphfix.install_overlay('over'); import pack.mod; graphfix.install_overlay('over'); print(pack.mod.two())"
    assert imports(package, twice).stdout == "42\n"


def test_refuses_an_original_that_changed_or_is_gone(package: Path) -> None:
    overlay.save(patched(package / "mod.py"), Path("over"))
    (package / "mod.py").write_bytes(BEFORE + b"\n")
    with pytest.raises(WriteError, match=r"mod\.py is not the file that was patched"):
        overlay.load(Path("over"))
    (package / "mod.py").unlink()
    with pytest.raises(WriteError, match=r"pack/mod\.py is not installed here"):
        overlay.load(Path("over"))


@pytest.mark.parametrize("manifest", [None, "", "[]", "{}", '{"files": 3}', '{"files": [{}]}', '{"files": ["a"]}'])
def test_refuses_what_is_no_overlay(tmp_path: Path, manifest: str | None) -> None:
    if manifest is not None:
        (tmp_path / "graphfix.json").write_text(manifest)
    with pytest.raises(WriteError, match="is no overlay; make one with graphfix apply --overlay"):
        overlay.load(tmp_path)


def test_saves_into_empty_folders_and_overlays_only(package: Path, tmp_path: Path) -> None:
    sources = patched(package / "mod.py")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    for place in ("full", "full/mine.txt"):
        with pytest.raises(WriteError, match="exists and is no overlay"):
            overlay.save(sources, tmp_path / place)
    (tmp_path / "empty").mkdir()
    overlay.save(sources, tmp_path / "empty")
    overlay.save(sources, tmp_path / "empty")
    with pytest.raises(WriteError, match="the overlay is not complete"):
        overlay.save(sources, Path("/proc/graphfix"))


FILES = {
    "plain": b"a = 1\nb = one()\nc = 3\n",
    "no newline at the end": b"a = 1\nb = one()",
    "crlf": b"a = 1\r\nb = one()\r\nc = 3\r\n",
    "bom": b"\xef\xbb\xbfb = one()\nc = 3\n",
    "form feed and separators": b"a = 1\n\x0c\nb = one()\nc = 'x\xe2\x80\xa8y\x0cz'\n",
    "far apart": b"b = one()\n" + b"x = 1\n" * 50 + b"c = one()\n",
}


@pytest.mark.parametrize("tool", [["git", "apply"], ["patch", "-p1", "--binary", "-i"]], ids=lambda tool: tool[0])
@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_a_patch_applies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: list[str], content: bytes) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "sub folder"
    folder.mkdir()
    for name in ("a.py", "b.py"):
        (folder / name).write_bytes(content)
    both = {**patched(folder / "a.py", "one()", "two()").patched, **patched(folder / "b.py", "one()", "two()").patched}
    (tmp_path / "fix.patch").write_text(overlay.patch(Sources(both)), encoding="utf-8", newline="")
    done = subprocess.run([*tool, "fix.patch"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "a.py").read_bytes() == (folder / "b.py").read_bytes() == content.replace(b"one()", b"two()")
