"""Comments that silence rules."""

from __future__ import annotations

import pytest

from graphfix.source.module import Module
from graphfix.source.suppress import is_suppressed


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("x()  # graphfix: ignore", True),
        ("x()  # graphfix: ignore[GF101]", True),
        ("x()  #graphfix:ignore [ GF2 , GF101 ]", True),
        ("x()  # graphfix: ignore[GF1]", True),
        ("x()  # graphfix: ignore[item-in-fill]", True),
        ("x()  # noqa  # graphfix: ignore[GF101]  because", True),
        ("x()  # graphfix: ignore[GF102]", False),
        ("x()  # graphfix: ignore[item]", False),
        ("x()  # graphfix: ignore[]", False),
        ("x()  # graphfix: ignore(GF101)", False),
        ("x()  # graphfix: ignore[GF101", False),
        ("x()  # graphfix: ignored once", False),
        ("x()  # graphfix: ignore-next", False),
        ("x('# graphfix: ignore')", False),
        ("x('# graphfix: ignore')  # graphfix: ignore[GF101]", True),
        ("x()", False),
    ],
)
def test_is_suppressed(line: str, expected: bool) -> None:
    module = Module("m.py", f"a = 1  # other\n{line}\nb = 2\n")
    assert is_suppressed(module, 2, "GF101", "item-in-fill") is expected
    assert not is_suppressed(module, 1, "GF101", "item-in-fill")
    assert not is_suppressed(module, 9, "GF101", "item-in-fill")
