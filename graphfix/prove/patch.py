"""The patched sources as one patch, for `git apply` and `patch -p1`, byte by byte."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from graphfix.source.paths import base_of
from graphfix.source.sources import Sources
from graphfix.source.text import decode, read_bytes

_QUOTED = re.compile(r'[\x00-\x1f"\\\x7f]')


def patch(sources: Sources) -> bytes:
    """One unified diff of all patched files, each part in its file's own encoding; empty where nothing is patched.

    Its paths count from the folder that the files count from (the current one, or the one a package is installed in),
    where there are several from the one around them. Its first line names that folder where it is not the current one.
    """
    changed = dict(sorted(sources.patched.items()))
    if not changed:
        return b""
    base = Path(os.path.commonpath([base_of(path) for path in changed]))
    parts = [part for path, text in changed.items() for part in _diff(path, text, base)]
    if parts and base != Path.cwd().resolve():
        parts.insert(0, os.fsencode(f"The paths count from {base}\n"))
    return b"".join(parts)


def _diff(path: str, text: str, base: Path) -> Iterator[bytes]:
    """The lines of a file's diff. Only a newline ends a line: form feeds do not, and CRLF is a newline after all."""
    data = read_bytes(path)
    before, after = (_lines(content) for content in (data, decode(data, path).encode(text)))
    name = Path(os.path.realpath(path)).relative_to(base).as_posix()
    for line in difflib.diff_bytes(difflib.unified_diff, before, after, _header("a", name), _header("b", name)):
        yield line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n"


def _lines(content: bytes) -> list[bytes]:
    *lines, last = content.split(b"\n")
    return [*(line + b"\n" for line in lines), *([last] if last else [])]


def _header(side: str, name: str) -> bytes:
    """A file's name as git writes it: quoted as in C where it is not plain ASCII, else with a tab after spaces."""
    path = f"{side}/{name}"
    data = os.fsencode(path)
    if not path.isascii() or _QUOTED.search(path):
        return b'"' + b"".join(_escaped(byte) for byte in data) + b'"'
    return data + (b"\t" if " " in path else b"")


def _escaped(byte: int) -> bytes:
    plain = 0x20 <= byte < 0x7F and byte not in b'"\\'
    return bytes([byte]) if plain else b"\\%03o" % byte
