"""Reads and writes source files without changing a byte that was not edited."""

from __future__ import annotations

import codecs
import io
import re
import tokenize
import zipimport
from dataclasses import dataclass
from pathlib import Path

from graphfix.errors import SourceError


@dataclass(frozen=True, slots=True)
class SourceText:
    """A file's decoded text, line endings as they are, with what is needed to encode it again."""

    text: str
    encoding: str = "utf-8"
    bom: bool = False

    def encode(self, text: str) -> bytes:
        """`text` in this file's encoding. Raises SourceError where it cannot hold a character."""
        try:
            data = text.encode(self.encoding)
        except UnicodeError as error:
            raise SourceError(f"the fix needs a character that {self.encoding} cannot hold: {error}.") from None
        return codecs.BOM_UTF8 + data if self.bom else data


def decode(data: bytes, path: str) -> SourceText:
    """Decode as Python does: BOM, coding cookie, else UTF-8.

    Raises SourceError, also for an encoding that does not give the same bytes again.
    """
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        bom = data.startswith(codecs.BOM_UTF8)
        encoding = "utf-8" if encoding == "utf-8-sig" else encoding
        source = SourceText(data[len(codecs.BOM_UTF8) if bom else 0 :].decode(encoding), encoding, bom)
    except (SyntaxError, UnicodeError, LookupError) as error:
        raise SourceError(f"{path} cannot be decoded ({error}); save it in the encoding it declares.") from None
    if source.encode(source.text) != data:
        raise SourceError(f"{path} would change when {encoding} encodes it again; save it in UTF-8.")
    return source


def read_bytes(path: str) -> bytes:
    """The content of a file, also of one inside an archive that Python imports from. Raises OSError."""
    try:
        return Path(path).read_bytes()
    except NotADirectoryError as error:
        archive = next(folder for folder in Path(path).parents if folder.exists())
        try:
            return zipimport.zipimporter(str(archive)).get_data(path)
        except (zipimport.ZipImportError, OSError):
            raise error from None


def read(path: str) -> SourceText:
    """The file at `path`. Raises SourceError where it cannot be read or decoded."""
    try:
        return decode(read_bytes(path), path)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.") from None


def lines(text: str) -> list[str]:
    """The lines as the parser counts them, with their endings."""
    return list(io.StringIO(text, newline="\n"))


LITERAL = "\0"
"""Stands behind a brace of a template that begins no slot."""


def literal(text: str) -> str:
    """Code as a template takes it: `{name}` in its f-strings is no slot."""
    return re.sub(r"\{(?=\w+\})", "{" + LITERAL, text)
