"""Loads patched sources in place of files: an import hook over Python's own loaders.

The processes that `multiprocessing` spawns from a patched one get the hook too, before they import anything: see
`_hand_down`. Programs that are started otherwise are programs of their own.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import io
import linecache
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from types import CodeType, ModuleType
from typing import Any


class PatchedLoader(importlib.machinery.SourceFileLoader):
    """Compiles the patched text of one module; never reads or writes a bytecode cache.

    All else, data files and resources above all, comes from the loader that Python had chosen for the module.
    """

    def __init__(self, fullname: str, path: str, text: str, usual: Any = None) -> None:
        super().__init__(fullname, path)
        self.text = text
        self._usual = usual

    def get_code(self, fullname: str) -> CodeType:
        return compile_patched(self.path, self.text)

    def get_source(self, fullname: str) -> str:
        return self.text

    def get_data(self, path: str) -> bytes:
        usual = getattr(self._usual, "get_data", super().get_data)
        data: bytes = usual(path)
        return data

    def get_resource_reader(self, name: Any = None) -> Any:
        return getattr(self._usual, "get_resource_reader", super().get_resource_reader)(name)


class PatchedFinder(importlib.abc.MetaPathFinder):
    """Finds modules as Python does and swaps the loader of those whose file is patched."""

    def __init__(self) -> None:
        self.sources: dict[str, str] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        spec = self._found_by_others(fullname, path, target)
        if spec is None or spec.origin is None:
            return spec
        text = self.sources.get(os.path.realpath(spec.origin))
        if text is not None:
            spec.loader = PatchedLoader(fullname, spec.origin, text, spec.loader)
            spec.cached = None
        elif fullname in _AFTER and not isinstance(spec.loader, type):
            _call_after(spec.loader, _AFTER[fullname])
        return spec

    def _found_by_others(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> importlib.machinery.ModuleSpec | None:
        """What the other finders find; some editable installs bring one of their own."""
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if finder is not self and find is not None and (spec := find(fullname, path, target)) is not None:
                return spec  # type: ignore[no-any-return]
        return None


_FINDER = PatchedFinder()


def install(sources: Mapping[str, str]) -> None:
    """Make every later import of a file in `sources` (path → text) see that text instead.

    `linecache` is told too, so that tracebacks, `inspect.getsource` and Dynamo's stacks show the patched lines.
    Modules that are already imported stay as they are.
    """
    for path, text in sources.items():
        _FINDER.sources[os.path.realpath(path)] = text
        for name in {path, os.path.realpath(path)}:
            _show(name, text)
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
        for name, act in _AFTER.items():
            if (module := sys.modules.get(name)) is not None:
                act(module)


def imported_without(sources: Mapping[str, str]) -> str | None:
    """The name of a module that was imported from one of these files and not with its text in `sources`."""
    texts = {os.path.realpath(path): text for path, text in sources.items()}
    for name, module in list(sys.modules.items()):
        place = vars(module).get("__file__") if isinstance(module, ModuleType) else None
        if not isinstance(place, str) or (text := texts.get(os.path.realpath(place))) is None:
            continue
        loader = getattr(vars(module).get("__spec__"), "loader", None)
        if not isinstance(loader, PatchedLoader) or loader.text != text:
            return name
    return None


def compile_patched(path: str, text: str) -> CodeType:
    """The code of a patched text under its file's name, as this interpreter's flags (`-O`) want it."""
    _show(path, text)
    code: CodeType = compile(text, path, "exec", dont_inherit=True)
    return code


def _show(path: str, text: str) -> None:
    """Make `text` what tracebacks and `inspect` print for a path, its lines counted as the parser counts them."""
    linecache.cache[path] = (len(text), None, list(io.StringIO(text, newline=None)), path)


def load_file(name: str, path: str) -> ModuleType:
    """Import the file at `path` as module `name`, patched where a patch of it is installed."""
    path = os.path.abspath(path)
    text = _FINDER.sources.get(os.path.realpath(path))
    loader = None if text is None else PatchedLoader(name, path, text)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _call_after(loader: Any, act: Callable[[ModuleType], None]) -> None:
    """Call `act` with the module once the loader has run it."""
    usual = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        usual(module)
        act(module)

    loader.exec_module = exec_module


def _patch_scripts(pkgutil: ModuleType) -> None:
    """Let `runpy.run_path` see patched texts: so a spawned process runs its parent's script again, as `__mp_main__`.

    It reads a file's code with `pkgutil.read_code`, and compiles the file where that gives None (seen on 3.11 to 3.13).
    """
    usual: Any = vars(pkgutil)["read_code"]

    def read_code(stream: Any) -> Any:
        path: Any = getattr(stream, "name", None)
        text = _FINDER.sources.get(os.path.realpath(path)) if isinstance(path, str) else None
        return usual(stream) if text is None else compile_patched(os.path.abspath(path), text)

    vars(pkgutil)["read_code"] = read_code


def _hand_down(spawn: ModuleType) -> None:
    """Send the patched sources along with what `multiprocessing` tells a process that it spawns (or forks in a server).

    That is a pickle which the process reads before it imports the main module. A fork server is told nothing of the
    main module: it would import it, and with it what is patched, for all its children, before any of them reads that.
    """
    usual: Any = vars(spawn)["get_preparation_data"]

    def get_preparation_data(name: str) -> dict[str, Any]:
        data: dict[str, Any] = usual(name)
        if name == "ignore":  # what the fork server calls itself
            data.pop("init_main_from_path", None)
            data.pop("main_path", None)
            return data
        return {"graphfix": _Inherited(dict(_FINDER.sources)), **data}

    vars(spawn)["get_preparation_data"] = get_preparation_data


class _Inherited:
    """Installs sources in the process that unpickles it, which need not find graphfix on its path yet."""

    def __init__(self, sources: dict[str, str]) -> None:
        self._sources = sources

    def __reduce__(self) -> tuple[Any, ...]:
        home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        code = f"import sys; sys.path.append({home!r}); from graphfix.hook import inherit; inherit({self._sources!r})"
        return exec, (code,)


def inherit(sources: Mapping[str, str]) -> None:
    """Install the parent's sources in a process that it spawned. Raises ImportError where that comes too late."""
    if (name := imported_without(sources)) is not None:
        raise ImportError(f"{name} was imported before graphfix could patch it; take it out of the preloaded modules.")
    install(sources)


_AFTER: dict[str, Callable[[ModuleType], None]] = {"pkgutil": _patch_scripts, "multiprocessing.spawn": _hand_down}
"""Modules to reach into once they are imported: a program that never imports them gets by without."""
