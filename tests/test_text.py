"""Files are read as Python reads them and written back in the encoding they had."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from graphfix.errors import SourceError
from graphfix.source.text import SourceText, decode, read


@pytest.mark.parametrize(
    ("data", "text", "encoding"),
    [
        (b"x = 1\n", "x = 1\n", "utf-8"),
        ("é = '長'\n".encode(), "é = '長'\n", "utf-8"),
        (b"# -*- coding: latin-1 -*-\ns = '\xe9'\n", "# -*- coding: latin-1 -*-\ns = 'é'\n", "iso-8859-1"),
        (b"#!/bin/python\n# vim: set fileencoding=cp1252 :\ns = '\x80'\n", None, "cp1252"),
        (codecs.BOM_UTF8 + b"x = 1\r\ny = 2\r\n", "x = 1\r\ny = 2\r\n", "utf-8"),
        (codecs.BOM_UTF8 + b"# coding: utf-8\n", "# coding: utf-8\n", "utf-8"),
        (b"a\rb\x0cc\r\nd", "a\rb\x0cc\r\nd", "utf-8"),
        (b"", "", "utf-8"),
    ],
)
def test_the_same_bytes_come_back(data: bytes, text: str | None, encoding: str) -> None:
    source = decode(data, "m.py")
    assert source.encoding == encoding
    assert text is None or source.text == text
    assert source.encode(source.text) == data


@pytest.mark.parametrize(
    "data",
    [
        b"s = '\xe9'\n",
        b"# coding: no-such-thing\n",
        b"# coding: rot13\nx = 1\n",
        b"# coding: undefined\nx = 1\n",
        b"# coding: ascii\ns = '\xe9'\n",
        codecs.BOM_UTF8 + b"# coding: latin-1\n",
        "x = 1\n".encode("utf-16"),
    ],
)
def test_what_cannot_be_decoded_says_so(data: bytes) -> None:
    with pytest.raises(SourceError, match=r"^m\.py cannot be decoded .*; save it in the encoding it declares\.$"):
        decode(data, "m.py")


def test_an_encoding_that_gives_other_bytes_is_refused() -> None:
    with pytest.raises(SourceError, match="save it in UTF-8"):
        decode(b"# coding: utf-7\ns = '+AGE-'\n", "m.py")


def test_a_character_the_encoding_lacks() -> None:
    with pytest.raises(SourceError, match="a character that iso-8859-1 cannot hold"):
        SourceText("", "iso-8859-1").encode("長")
    with pytest.raises(SourceError):
        SourceText("").encode("\ud800")


def test_read_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone\.py cannot be read: No such file"):
        read(str(tmp_path / "gone.py"))
    with pytest.raises(SourceError, match="Is a directory"):
        read(str(tmp_path))
