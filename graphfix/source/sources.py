"""Modules by path, with patched texts in place of the files on disk."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from graphfix.model import Edit
from graphfix.source.module import Module
from graphfix.source.text import read


class Sources:
    """An immutable view of source files: what is patched comes from memory, all else from disk (read once).

    `originals` holds the text on disk that each patch began with, for those made here.
    """

    def __init__(
        self, patched: Mapping[str, str] = MappingProxyType({}), originals: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.patched, self.originals = dict(patched), dict(originals)
        self._modules: dict[str, Module] = {}

    def module(self, path: str) -> Module:
        """The module at `path`. Raises SourceError where the file cannot be read or decoded."""
        key = os.path.realpath(path)
        if key not in self._modules:
            text = self.patched.get(key)
            self._modules[key] = Module(path, read(path).text if text is None else text)
        return self._modules[key]

    def with_edits(self, edits: Iterable[Edit]) -> Sources:
        """New sources with the edits made (offsets count in this view's texts)."""
        patched, originals = dict(self.patched), dict(self.originals)
        for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
            key = os.path.realpath(edit.path)
            if key not in patched:
                originals[key] = self.module(edit.path).text
            text = patched.get(key, self.module(edit.path).text)
            patched[key] = text[: edit.start] + edit.text + text[edit.end :]
        return Sources(patched, originals)

    def without(self, paths: Collection[str], before: Sources) -> Sources:
        """New sources in which these files (by their real paths) are as they were in `before`."""
        patched = {path: text for path, text in self.patched.items() if path not in paths}
        patched |= {path: before.patched[path] for path in paths if path in before.patched}
        return Sources(patched, {path: self.originals[path] for path in patched if path in self.originals})
