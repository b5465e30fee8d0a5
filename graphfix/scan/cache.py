"""Remembers what files showed, by their content, in the user's cache folder.

Two levels: what a set of files showed as a whole, for the scan that is repeated as it was, and what each file showed,
for the scan after an edit. Everything in it can be thrown away; what cannot be read or written is done without.
"""

from __future__ import annotations

import functools
import marshal
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

from graphfix import _version
from graphfix.rule import Rule
from graphfix.scan.link import FileScan
from graphfix.scan.records import Packed, packed, unpacked

_KEPT = 20_000
"""So many files are remembered of one folder; those of older scans go first."""


def digest(data: bytes) -> bytes:
    """What stands for a file's content."""
    return blake2b(data, digest_size=16).digest()


class Cache:
    """What the files of a project showed. `contents` are their paths and digests, in order; `certain` as for a scan."""

    def __init__(
        self, root: Path, rules: Sequence[Rule], contents: Sequence[tuple[str, bytes]], certain: bool = False
    ) -> None:
        self._kind = "-certain" if certain else ""
        self._tool = _fingerprint(tuple(rules))
        where = blake2b(os.fsencode(os.path.abspath(root)), digest_size=8).hexdigest()
        self._folder = _cache_folder() / where
        whole = blake2b(self._tool, digest_size=16)
        for path, content in contents:
            whole.update(os.fsencode(os.path.abspath(path)))
            whole.update(content)
        self._whole = whole.digest()

    def whole(self, paths: Sequence[str]) -> list[FileScan] | None:
        """What these very files showed the last time, settled by each other; None where one has changed since."""
        found = self._read("last")
        if not isinstance(found, tuple) or found[0] != self._whole:
            return None
        known: dict[int, Packed] = found[1]
        return [unpacked(path, known[at]) if at in known else FileScan(path) for at, path in enumerate(paths)]

    def keep_whole(self, scans: Sequence[FileScan]) -> None:
        """Remember a whole scan; most files show nothing."""
        known = {at: packed(scan) for at, scan in enumerate(scans) if scan.findings or scan.suppressions or scan.error}
        self._write("last", (self._whole, known))

    @functools.cached_property
    def _files(self) -> dict[bytes, Packed]:
        found = self._read("files")
        return found[1] if isinstance(found, tuple) and found[0] == self._tool else {}

    def file(self, path: str, content: bytes) -> FileScan | None:
        """What a file with this content showed."""
        found = self._files.get(content)
        return None if found is None else unpacked(path, found)

    def keep_files(self, scans: Iterable[tuple[bytes, FileScan]]) -> None:
        """Remember files, together with those known before."""
        new = {content: packed(scan) for content, scan in scans}
        if not new.keys() <= self._files.keys():
            kept = {**{key: one for key, one in self._files.items() if key not in new}, **new}
            self._write("files", (self._tool, dict(list(kept.items())[-_KEPT:])))

    def _read(self, name: str) -> Any:
        with suppress(OSError, ValueError, EOFError, TypeError):
            return marshal.loads((self._folder / f"{name}{self._kind}").read_bytes())
        return None

    def _write(self, name: str, content: Any) -> None:
        """In one step, so that a scan at the same time reads the old or the new."""
        new = self._folder / f"{name}{self._kind}.{os.getpid()}"
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            new.write_bytes(marshal.dumps(content))
            new.replace(self._folder / f"{name}{self._kind}")


def _cache_folder() -> Path:
    if named := os.environ.get("GRAPHFIX_CACHE_DIR"):
        return Path(named)
    from platformdirs import user_cache_path

    return user_cache_path("graphfix", appauthor=False) / "scan"


@functools.cache
def _fingerprint(rules: tuple[Rule, ...]) -> bytes:
    """What stands for the tool: its files, the rules' files, the interpreter's version."""
    folder = os.path.dirname(_version.__file__)
    files = {file for rule in rules if (file := getattr(sys.modules.get(type(rule).__module__), "__file__", None))}
    for below in ("source", "scan", "."):
        with os.scandir(os.path.join(folder, below)) as entries:
            files.update(entry.path for entry in entries if entry.name.endswith(".py"))
    told = blake2b(repr(sys.version_info).encode(), digest_size=16)
    for file in sorted(files):
        state = os.stat(file)
        told.update(f"{file} {state.st_mtime_ns} {state.st_size}\n".encode())
    return told.digest()
