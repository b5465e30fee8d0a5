"""Patched text in place of files, in a fresh Python process and in those that it starts."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PATCHED = (
    "'''Patched.'''\nfrom .other import one\n\f\ndef two():\n    assert one == 2, 'asserted'\n    return 'patched'\n"
)


def run(tmp_path: Path, script: str, *options: str) -> str:
    """What a script prints; it finds the package `pack`, whose `sub/mod.py` is to be patched with TEXT."""
    return run_file(tmp_path, "-c", head(tmp_path) + script, options=options)


def run_file(tmp_path: Path, *arguments: str, options: tuple[str, ...] = ()) -> str:
    command = [sys.executable, *options, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def head(tmp_path: Path) -> str:
    """Make the package; the lines that find it, and graphfix."""
    folder = tmp_path / "lib/pack/sub"
    folder.mkdir(parents=True, exist_ok=True)
    (tmp_path / "lib/pack/__init__.py").write_text("")
    (folder / "__init__.py").write_text("")
    (folder / "other.py").write_text("one = 1\n")
    (folder / "mod.py").write_text("def two():\n    return 'original'\n")
    lines = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(tmp_path / 'lib')!r}]\n"
    return (
        lines + f"from graphfix.hook import install, load_file\nPATH = {str(folder / 'mod.py')!r}\nTEXT = {PATCHED!r}\n"
    )


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


def test_debug_is_off_under_the_same_flag_as_asserts(tmp_path: Path) -> None:
    script = "install({PATH: 'seen = __debug__'})\nfrom pack.sub.mod import seen; print(seen)"
    assert [run(tmp_path, script, *options) for options in ((), ("-O",), ("-OO",))] == ["True", "False", "False"]


def test_a_reload_sees_the_patch_and_so_does_pickle(tmp_path: Path) -> None:
    script = """
from pack.sub import mod
install({PATH: "class A:\\n    here = 'patched'\\n"})
import importlib, inspect, linecache, pickle
importlib.reload(mod)
linecache.checkcache()
print(pickle.loads(pickle.dumps(mod.A())).here, inspect.getsource(mod.A).splitlines()[1].strip())
"""
    assert run(tmp_path, script) == "patched here = 'patched'"


@pytest.mark.parametrize("how", ["run_module('pack.sub.mod', run_name='__main__')", "run_path(PATH)"])
def test_run_as_a_program(tmp_path: Path, how: str) -> None:
    script = "install({PATH: 'import sys\\nprint(__name__, sys._getframe().f_code.co_filename == __file__)\\n1 / 0'})\n"
    script += (
        f"import runpy, traceback\ntry: runpy.{how}\nexcept ZeroDivisionError: print('1 / 0' in traceback.format_exc())"
    )
    name = "__main__" if "module" in how else "<run_path>"
    assert run(tmp_path, script) == f"{name} True\nTrue"


def test_a_namespace_package(tmp_path: Path) -> None:
    folder = tmp_path / "lib/space/inner"
    folder.mkdir(parents=True)
    (folder / "mod.py").write_text("x = 'original'\n")
    script = f"install({{{str(folder / 'mod.py')!r}: \"x = 'patched'\"}})\nimport space.inner.mod as m; print(m.x)"
    assert run(tmp_path, script) == "patched"


def test_a_package_in_an_archive_keeps_its_data(tmp_path: Path) -> None:
    archive = tmp_path / "packs.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("zipped/__init__.py", "x = 'original'\n")
        file.writestr("zipped/mod.py", "from zipped import x\n")
        file.writestr("zipped/data.txt", "data")
    script = f"""
sys.path.insert(0, {str(archive)!r})
install({{{str(archive / "zipped/__init__.py")!r}: "x = 'patched'"}})
import importlib.resources, inspect, pkgutil, zipped.mod
print(zipped.mod.x, inspect.getsource(zipped), pkgutil.get_data("zipped", "data.txt").decode())
print((importlib.resources.files("zipped") / "data.txt").read_text())
"""
    assert run(tmp_path, script) == "patched x = 'patched' data\ndata"


SPAWNING = """
def show():
    import inspect
    from pack.sub import mod
    return mod.two(), "asserted" in inspect.getsource(mod.two)

import multiprocessing
if __name__ == "__main__":
    install({PATH: TEXT.replace("one == 2, 'asserted'", "one == 1, 'asserted'")})
    with multiprocessing.get_context(METHOD).Pool(1) as pool:
        print(*pool.apply(show))
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_processes_that_are_spawned_see_the_patch(tmp_path: Path, method: str) -> None:
    """From a script that installs it for itself alone, under `if __name__ == "__main__"`, and finds graphfix itself."""
    (tmp_path / "main.py").write_text(head(tmp_path) + f"METHOD = {method!r}\n" + SPAWNING)
    assert run_file(tmp_path, "main.py") == "patched True"


def test_a_spawned_process_spawns_another(tmp_path: Path) -> None:
    script = (
        head(tmp_path)
        + """
import multiprocessing
def grandchild():
    from pack.sub import mod
    print(mod.x, flush=True)
def child():
    spawned = multiprocessing.get_context("spawn").Process(target=grandchild)
    spawned.start()
    spawned.join()
if __name__ == "__main__":
    install({PATH: "x = 'patched'"})
    spawned = multiprocessing.get_context("spawn").Process(target=child)
    spawned.start()
    spawned.join()
"""
    )
    (tmp_path / "main.py").write_text(script)
    assert run_file(tmp_path, "main.py") == "patched"


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_spawned_process_runs_its_parents_script_patched(tmp_path: Path, method: str) -> None:
    """As `graphfix run --overlay` does with a script that is patched itself."""
    main = tmp_path / "main.py"
    text = "import multiprocessing\nWHAT = 'original'\ndef show(): print(WHAT, flush=True)\n"
    text += f"if __name__ == '__main__':\n    one = multiprocessing.get_context({method!r}).Process(target=show)\n"
    main.write_text(text + "    one.start()\n    one.join()\n")
    script = f"install({{{str(main)!r}: open({str(main)!r}).read().replace('original', 'patched')}})\n"
    script += f"import runpy; sys.argv = [{str(main)!r}]\n"
    script += f"main = sys.modules['__main__']; main.__file__ = {str(main)!r}\n"
    script += f"exec(compile(open({str(main)!r}).read(), {str(main)!r}, 'exec'), vars(main))"
    assert run(tmp_path, script) == "patched"


def test_a_fork_server_that_preloads_what_is_patched_is_an_error(tmp_path: Path) -> None:
    script = (
        head(tmp_path)
        + """
import multiprocessing
def child(): print("ran")
if __name__ == "__main__":
    install({PATH: TEXT})
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pack.sub.mod"])
    one = context.Process(target=child)
    one.start()
    one.join()
    print(one.exitcode)
"""
    )
    (tmp_path / "main.py").write_text(script)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "lib")}
    done = subprocess.run(
        [sys.executable, "main.py"], capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=60
    )
    assert done.stdout == "1\n"
    assert "pack.sub.mod was imported before graphfix could patch it" in done.stderr
