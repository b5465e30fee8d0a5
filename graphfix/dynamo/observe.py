"""Runs inside the user's own program and writes what Dynamo does in it to a file, one JSON object a line.

Python runs it before the program's first line (see `graphfix.scan.launch`). Until the program imports `torch._dynamo`
it brings in no module that Python had not loaded for itself: a program that sets the environment before it imports
torch, or never imports it, runs as it would without graphfix.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

    Emit = Callable[[dict[str, Any]], None]

_TRIGGER = "torch._dynamo"
_LIVE: list[Any] = []
"""What must live as long as the program."""


def start(package: str, folder: str, overlay: bool, python_path: str | None) -> None:
    """Load an overlay, and observe Dynamo from its import on.

    `package` is graphfix's own folder, `folder` the one that brought us here, `python_path` the PYTHONPATH to restore.
    """
    sys.path.remove(folder)
    sys.path_importer_cache.pop(folder, None)
    os.environ.pop("PYTHONPATH")
    if python_path is not None:
        os.environ["PYTHONPATH"] = python_path
    if overlay:
        _load_overlay(package, os.path.join(folder, "overlay.json"))
    events = os.path.join(folder, "events.jsonl")
    sys.meta_path.insert(0, _AfterImport(_TRIGGER, lambda: _observe(package, events)))
    _run_own_sitecustomize()


def run_patched(overlay: str) -> None:
    """Run the script that follows `-c` in `sys.argv` as Python runs a file, but with its text in the `overlay` file."""
    import json

    from graphfix.hook import install

    del sys.argv[0]
    script, real = os.path.abspath(sys.argv[0]), os.path.realpath(sys.argv[0])
    with open(overlay, encoding="utf-8") as stream:
        text = json.load(stream)[real]
    install({script: text})  # under the name that tracebacks will give it
    if not sys.flags.safe_path:
        sys.path[0] = os.path.dirname(real)
    main = vars(sys.modules["__main__"])
    main.update(__file__=script, __cached__=None)
    exec(compile(text, script, "exec", dont_inherit=True), main)


def _run_own_sitecustomize() -> None:
    """Import the user's own `sitecustomize`, in whose place we were."""
    ours = sys.modules.pop("sitecustomize")
    try:
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
    finally:
        sys.modules.setdefault("sitecustomize", ours)


class _AfterImport:
    """A finder that calls `then` right after the module `name` was imported, once, and finds nothing itself."""

    def __init__(self, name: str, then: Callable[[], None]) -> None:
        self._name, self._then, self._asking = name, then, False

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self._name or self._asking:
            return None
        self._asking = True
        try:
            finders = [find for each in sys.meta_path if (find := getattr(each, "find_spec", None))]
            spec = next(filter(None, (find(name, path, target) for find in finders)), None)
        finally:
            self._asking = False
        if spec is not None and spec.loader is not None:
            self._wrap(spec.loader)
        return spec

    def _wrap(self, loader: Any) -> None:
        usual = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            usual(module)
            vars(loader).pop("exec_module", None)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
                self._then()

        loader.exec_module = exec_module


def _import_graphfix(package: str) -> None:
    """Import the graphfix that started us, which need not be on the program's path."""
    if "graphfix" not in sys.modules:
        from importlib.util import module_from_spec, spec_from_file_location

        place = os.path.join(package, "__init__.py")
        spec = spec_from_file_location("graphfix", place, submodule_search_locations=[package])
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        sys.modules["graphfix"] = module
        spec.loader.exec_module(module)


def _load_overlay(package: str, file: str) -> None:
    _import_graphfix(package)
    import json

    from graphfix.hook import install

    with open(file, encoding="utf-8") as stream:
        install(json.load(stream))


def _observe(package: str, events: str) -> None:
    """Hook into Dynamo, all of which is imported by now. The program must not fail because of its observer."""
    emit = _emitter(events)
    try:
        _import_graphfix(package)
        from graphfix.dynamo import program

        _LIVE.append(program.observe(emit))
    except Exception as error:
        emit({"event": "warning", "text": f"this program could not be observed: {type(error).__name__}: {error}"})


def _emitter(events: str) -> Emit:
    """Appends each event in one write, which forked processes share; keeps no file open and takes no lock.

    Once graphfix is gone, and its folder with it, events are dropped.
    """
    import json

    def emit(event: dict[str, Any]) -> None:
        line = json.dumps({"pass": "explain", **event}, default=str) + "\n"
        try:
            file = os.open(events, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            try:
                os.write(file, line.encode())
            finally:
                os.close(file)
        except OSError:
            pass

    return emit
