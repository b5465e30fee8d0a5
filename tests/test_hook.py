"""Patched text in place of files, in a fresh Python process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PATCHED = (
    "'''Patched.'''\nfrom .other import one\n\f\ndef two():\n    assert one == 2, 'asserted'\n    return 'patched'\n"
)


def run(tmp_path: Path, script: str, *options: str) -> str:
    """What a script prints; it finds the package `pack`, whose `sub/mod.py` is to be patched with TEXT."""
    folder = tmp_path / "lib/pack/sub"
    folder.mkdir(parents=True, exist_ok=True)
    (tmp_path / "lib/pack/__init__.py").write_text("")
    (folder / "__init__.py").write_text("")
    (folder / "other.py").write_text("one = 1\n")
    (folder / "mod.py").write_text("def two():\n    return 'original'\n")
    head = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(tmp_path / 'lib')!r}]\n"
    head += f"from graphfix.hook import install, load_file\nPATH = {str(folder / 'mod.py')!r}\nTEXT = {PATCHED!r}\n"
    command = [sys.executable, *options, "-c", head + script]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_patched_text_is_imported_and_leaves_no_bytecode(tmp_path: Path) -> None:
    script = "install({PATH: TEXT})\nfrom pack.sub import mod\nprint(mod.one, mod.__file__ == PATH, mod.__package__)"
    assert run(tmp_path, script) == "1 True pack.sub"
    assert not list(tmp_path.rglob("mod.*.pyc"))
    assert "original" in run(tmp_path, "from pack.sub import mod; print(mod.two())")


@pytest.mark.parametrize(("options", "expected"), [((), "asserted"), (("-O",), "patched"), (("-I",), "asserted")])
def test_interpreter_options_hold(tmp_path: Path, options: tuple[str, ...], expected: str) -> None:
    script = (
        "install({PATH: TEXT})\nfrom pack.sub.mod import two\ntry: print(two())\nexcept AssertionError as e: print(e)"
    )
    assert run(tmp_path, script, *options) == expected


def test_source_and_tracebacks_show_the_patched_lines(tmp_path: Path) -> None:
    script = """
install({PATH: TEXT})
import inspect, traceback
from pack.sub import mod
print(inspect.getsource(mod.two).splitlines()[1])
print(inspect.getsource(mod) == TEXT)
try: mod.two()
except AssertionError: print(*[line for line in traceback.format_exc().splitlines() if "assert " in line])
"""
    shown = "assert one == 2, 'asserted'"
    assert [line.strip() for line in run(tmp_path, script).splitlines()] == [shown, "True", shown]


def test_a_linked_folder_is_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "lib")
    script = f"install({{PATH: TEXT}})\nsys.path[1] = {str(tmp_path / 'link')!r}\n"
    script += "import inspect; from pack.sub import mod; print(inspect.getsource(mod.two).splitlines()[-1])"
    assert run(tmp_path, script) == "return 'patched'"


def test_modules_of_other_finders_are_patched(tmp_path: Path) -> None:
    """As with an editable install that brings a finder of its own and leaves sys.path alone."""
    script = """
import importlib.util
class Editable:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return importlib.util.spec_from_file_location(name, PATH) if name == "mapped" else None
sys.meta_path.append(Editable)
install({PATH: "x = 'patched'"})
import mapped, json
print(mapped.x)
"""
    assert run(tmp_path, script) == "patched"


def test_a_file_loaded_by_path(tmp_path: Path) -> None:
    plain = "print(load_file('alone', PATH).two(), sys.modules['alone'].__name__)"
    assert run(tmp_path, plain) == "original alone"
    assert run(tmp_path, 'install({PATH: "x = 3"})\nprint(load_file("alone", PATH).x)') == "3"
    gone = "try: load_file('a', 'gone.txt')\nexcept ImportError as error: print(error)"
    assert run(tmp_path, gone).endswith("gone.txt is not a Python file")


def test_what_is_not_there_stays_missing(tmp_path: Path) -> None:
    assert run(
        tmp_path, "install({PATH: TEXT})\ntry: import no_such_thing\nexcept ImportError as e: print(e.name)"
    ) == ("no_such_thing")
