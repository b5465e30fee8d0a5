"""Loads patched sources in place of files: an import hook over Python's own loader."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import io
import linecache
import os
import sys
from collections.abc import Mapping, Sequence
from types import CodeType, ModuleType


class PatchedLoader(importlib.machinery.SourceFileLoader):
    """Compiles the patched text of one module; never reads or writes a bytecode cache."""

    def __init__(self, fullname: str, path: str, text: str) -> None:
        super().__init__(fullname, path)
        self._text = text

    def get_code(self, fullname: str) -> CodeType:
        _show(self.path, self._text)
        code: CodeType = compile(self._text, self.path, "exec", dont_inherit=True)
        return code

    def get_source(self, fullname: str) -> str:
        return self._text


class PatchedFinder(importlib.abc.MetaPathFinder):
    """Finds modules as Python does and swaps the loader of those whose file is patched."""

    def __init__(self) -> None:
        self.sources: dict[str, str] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        spec = self._found_by_others(fullname, path, target)
        if spec is None or spec.origin is None:
            return None
        text = self.sources.get(os.path.realpath(spec.origin))
        if text is None:
            return None
        spec.loader = PatchedLoader(fullname, spec.origin, text)
        spec.cached = None
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
