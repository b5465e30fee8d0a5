"""The overlay folder: made here, used by real processes."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from conftest import Run

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


def patched(*paths: Path, old: str = "return one", new: str = "return one + 41") -> Sources:
    texts = {str(path): Sources().module(str(path)).text for path in paths}
    assert all(old in text for text in texts.values())
    return Sources({path: text.replace(old, new) for path, text in texts.items()})


def imports(package: Path, script: str, *options: str) -> subprocess.CompletedProcess[str]:
    head = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(package.parent)!r}]; import graphfix\n"
    return subprocess.run([sys.executable, *options, "-c", head + script], capture_output=True, text=True, check=False)


def manifest(folder: str = "over") -> Any:
    return json.loads(Path(folder, "graphfix.json").read_text())


def test_saved_and_loaded_in_another_process(package: Path) -> None:
    written = overlay.save(patched(package / "mod.py"), Path("over"))
    assert written == ["over/pack/mod.py", "over/graphfix.json"]
    assert manifest() == {
        "schema": 1,
        "complete": True,
        "files": [
            {
                "path": "pack/mod.py",
                "name": "pack/mod.py",
                "home": "installed",
                "sha256": hashlib.sha256(BEFORE).hexdigest(),
                "patched_sha256": hashlib.sha256(BEFORE.replace(b"return one", b"return one + 41")).hexdigest(),
            }
        ],
    }
    assert imports(package, "import pack.mod; print(pack.mod.two())").stdout == "1\n"
    script = "graphfix.install_overlay('over'); import pack.mod; print(pack.mod.two(), 'torch' in sys.modules)"
    for options in ((), ("-O",), ("-I",)):
        done = imports(package, script, *options)
        assert (done.stdout, done.stderr) == ("42 False\n", "")
    assert (package / "mod.py").read_bytes() == BEFORE


def test_too_late_is_an_error(package: Path) -> None:
    overlay.save(patched(package / "mod.py"), Path("over"))
    done = imports(package, "import pack.mod; graphfix.install_overlay('over')")
    assert "pack.mod is imported already; install the overlay before." in done.stderr
    twice = "graphfix.install_overlay('over'); import pack.mod; graphfix.install_overlay('over'); print(pack.mod.two())"
    assert imports(package, twice).stdout == "42\n"
    overlay.save(patched(package / "mod.py", new="return 7"), Path("other"))
    done = imports(package, twice.replace("install_overlay('over'); print", "install_overlay('other'); print"))
    assert "pack.mod is imported already" in done.stderr


def test_refuses_an_original_that_changed_or_is_gone(package: Path) -> None:
    overlay.save(patched(package / "mod.py"), Path("over"))
    (package / "mod.py").write_bytes(BEFORE + b"\n")
    with pytest.raises(WriteError, match=r"mod\.py is not the file that was patched; make it again"):
        overlay.load(Path("over"))
    (package / "mod.py").unlink()
    with pytest.raises(WriteError, match=r"pack/mod\.py is not installed here"):
        overlay.load(Path("over"))


def test_refuses_a_damaged_overlay(package: Path) -> None:
    overlay.save(patched(package / "mod.py"), Path("over"))
    place = Path("over/pack/mod.py")
    place.write_text(place.read_text() + "# mine\n")
    with pytest.raises(WriteError, match=r"pack/mod\.py is not what graphfix wrote; make it again"):
        overlay.load(Path("over"))
    place.unlink()
    with pytest.raises(WriteError, match=r"pack/mod\.py cannot be read \(No such file or directory\); make it again"):
        overlay.load(Path("over"))


@pytest.mark.parametrize("manifest", [None, "", "[]", "{}", '{"files": 3}', '{"files": [{}]}', '{"files": ["a"]}'])
def test_refuses_what_is_no_overlay(tmp_path: Path, manifest: str | None) -> None:
    if manifest is not None:
        (tmp_path / "graphfix.json").write_text(manifest)
    with pytest.raises(WriteError, match="is no overlay; make one with graphfix apply --overlay"):
        overlay.load(tmp_path)


def test_refuses_a_manifest_of_another_version_and_reads_one_with_more_in_it(package: Path) -> None:
    overlay.save(patched(package / "mod.py"), Path("over"))
    found = manifest()
    found["files"][0]["later"] = "more"
    Path("over/graphfix.json").write_text(json.dumps(found))
    assert len(overlay.load(Path("over"))) == 1
    Path("over/graphfix.json").write_text(json.dumps({**found, "schema": 2}))
    with pytest.raises(WriteError, match="made by another version of graphfix"):
        overlay.load(Path("over"))


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


def test_what_an_earlier_overlay_left_is_removed(package: Path) -> None:
    (package / "sub").mkdir()
    (package / "sub/deep.py").write_bytes(BEFORE)
    overlay.save(patched(package / "mod.py", package / "sub/deep.py"), Path("over"))
    Path("over/notes.txt").write_text("mine")
    found = manifest()
    found["files"].append({**found["files"][0], "path": "../mine.py"})
    Path("over/graphfix.json").write_text(json.dumps(found))
    Path("mine.py").write_text("mine")
    overlay.save(patched(package / "mod.py"), Path("over"))
    left = sorted(path.relative_to("over").as_posix() for path in Path("over").rglob("*"))
    assert left == ["graphfix.json", "notes.txt", "pack", "pack/mod.py"]
    assert Path("mine.py").exists()
    overlay.save(Sources(), Path("over"))
    assert overlay.load(Path("over")) == {}
    assert sorted(os.listdir("over")) == ["graphfix.json", "notes.txt"]


def test_a_save_that_is_killed_leaves_nothing_that_loads_wrongly(package: Path) -> None:
    """Killed before each file call: then the overlay is the old one, the new one, or refused; a new save cures it."""
    (package / "more.py").write_bytes(BEFORE)
    old, new = (patched(package / "mod.py", package / "more.py", new=text) for text in ("return 10", "return 20"))
    found = set()
    for number in range(100):
        overlay.save(old, Path("over"))
        if not _killed_saving(new, number):
            break
        try:
            texts = set(overlay.load(Path("over")).values())
        except WriteError as error:
            found.add("not written to its end" if "to its end" in str(error) else str(error))
        else:
            assert len(texts) == 1
            found.add("old" if "return 10" in texts.pop() else "new")
        overlay.save(new, Path("over"))
        assert all("return 20" in text for text in overlay.load(Path("over")).values())
    assert found == {"old", "not written to its end"}
    assert number > 10


def _killed_saving(sources: Sources, number: int) -> bool:
    left = number

    def kill(frame: object, event: str, called: Any) -> None:
        nonlocal left
        if event == "c_call" and called.__name__ in ("open", "write", "close", "replace", "rename", "mkdir", "unlink"):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if not child:
        sys.setprofile(kill)
        try:
            overlay.save(sources, Path("over"))
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_two_files_of_one_name(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project's own `pack/mod.py`, and the installed one."""
    own = Path("pack/mod.py").absolute()
    own.parent.mkdir()
    own.write_bytes(BEFORE + b"# own\n")
    overlay.save(patched(own, package / "mod.py"), Path("over"))
    assert [(entry["path"], entry["home"]) for entry in manifest()["files"]] == [
        ("pack/mod.py", "installed"),
        ("2/pack/mod.py", "project"),
    ]
    monkeypatch.syspath_prepend("")
    texts = overlay.load(Path("over"))
    assert texts.keys() == {str(own), str(package / "mod.py")}
    assert "# own" in texts[str(own)]
    (package / "mod.py").write_bytes(BEFORE + b"# own\n")
    with pytest.raises(WriteError, match=r"pack/mod\.py is not"):
        overlay.load(Path("over"))


def test_one_file_twice_on_the_path(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twin = tmp_path / "dist-packages/pack/mod.py"
    twin.parent.mkdir(parents=True)
    twin.write_bytes(BEFORE)
    monkeypatch.syspath_prepend(twin.parent.parent)
    overlay.save(patched(package / "mod.py", twin), Path("over"))
    assert overlay.load(Path("over")).keys() == {str(twin), str(package / "mod.py")}


def test_a_project_is_found_from_elsewhere(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Path("src/mine/mod.py").absolute()
    own.parent.mkdir(parents=True)
    own.write_bytes(BEFORE)
    overlay.save(patched(own), Path("over"))
    monkeypatch.chdir("/")
    with pytest.raises(WriteError, match=r"src/mine/mod\.py is not installed here"):
        overlay.load(tmp_path / "work/over")
    monkeypatch.syspath_prepend(tmp_path / "work/src")
    assert overlay.load(tmp_path / "work/over").keys() == {str(own)}


def test_a_package_in_an_archive(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "packs.egg"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("zipped/__init__.py", "")
        file.writestr("zipped/mod.py", "def two():\n    return one\n\none = 1\n")
    monkeypatch.syspath_prepend(archive)
    overlay.save(patched(archive / "zipped/mod.py"), Path("over"))
    (entry,) = manifest()["files"]
    assert (entry["path"], entry["home"]) == ("zipped/mod.py", "installed")
    script = f"sys.path.append({str(archive)!r}); graphfix.install_overlay('over')\n"
    script += "import inspect, zipped.mod as m; print(m.two(), 'one + 41' in inspect.getsource(m.two))"
    done = imports(package, script)
    assert (done.stdout, done.stderr) == ("42 True\n", "")
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("zipped/mod.py", "changed = 1\n")
    assert "is not the file that was patched" in imports(package, script).stderr


def test_spawned_processes_load_it_too(package: Path) -> None:
    """Where only the parent installed it, and a process that is spawned finds graphfix by its parent's path alone."""
    overlay.save(patched(package / "mod.py"), Path("over"))
    script = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}, {str(package.parent)!r}]
import multiprocessing
def show():
    import pack.mod
    print(pack.mod.two(), flush=True)
if __name__ == "__main__":
    import graphfix
    graphfix.install_overlay("over")
    for method in ("spawn", "forkserver", "fork"):
        one = multiprocessing.get_context(method).Process(target=show)
        one.start()
        one.join()
"""
    Path("main.py").write_text(script)
    done = subprocess.run([sys.executable, "main.py"], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("42\n" * 3, "")


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
@pytest.mark.parametrize("words", ["main.py", "-m main"])
def test_graphfix_run_and_what_it_spawns(package: Path, graphfix: Run, method: str, words: str) -> None:
    """A program that is patched itself, and the module it imports, in its processes as well."""
    text = "import multiprocessing, pack.mod\nWHAT = 'as it was'\ndef show(): print(WHAT, pack.mod.two(), flush=True)\n"
    text += f"if __name__ == '__main__':\n    context = multiprocessing.get_context({method!r})\n"
    text += "    show()\n    one = context.Process(target=show)\n    one.start()\n    one.join()\n"
    Path("main.py").write_text(text)
    texts = patched(Path("main.py").absolute(), old="as it was", new="as patched").patched
    overlay.save(Sources({**texts, **patched(package / "mod.py").patched}), Path("over"))
    done = graphfix("run", "--overlay", "over", *words.split(), cwd=Path.cwd(), PYTHONPATH=f"{ROOT}:{package.parent}")
    assert done.stdout == "as patched 42\n" * 2, done.stderr
