"""Comments that silence rules: where they count, and what they name."""

from __future__ import annotations

import pytest

from graphfix.model import Location
from graphfix.source.module import Module
from graphfix.source.suppress import is_suppressed, suppressions


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("x()  # graphfix: ignore", True),
        ("x()  # graphfix: ignore[GF101]", True),
        ("x()  #graphfix:ignore [ GF2 , GF101 ]", True),
        ("x()  # graphfix: ignore[GF1]", True),
        ("x()  # graphfix: ignore[item-in-fill]", True),
        ("x()  # noqa  # graphfix: ignore[GF101]  because", True),
        ("x()  # graphfix: ignore[GF3]  # graphfix: ignore[GF101]", True),
        ("x()  # graphfix: ignore[GF102]", False),
        ("x()  # graphfix: ignore[item]", False),
        ("x()  # graphfix: ignore[]", False),
        ("x()  # graphfix: ignore(GF101)", False),
        ("x()  # graphfix: ignore[GF101", False),
        ("x()  # graphfix: ignored once", False),
        ("x()  # graphfix: ignore-next", False),
        ("x()  # graphfix: ignore-files", False),
        ("x('# graphfix: ignore')", False),
        ("x('# graphfix: ignore')  # graphfix: ignore[GF101]", True),
        ("x()", False),
    ],
)
def test_what_a_comment_names(line: str, expected: bool) -> None:
    module = Module("m.py", f"a = 1  # other\n{line}\nb = 2\n")
    assert is_suppressed(module, 2, "GF101", "item-in-fill") is expected
    assert not is_suppressed(module, 1, "GF101", "item-in-fill")
    assert not is_suppressed(module, 9, "GF101", "item-in-fill")


def covered(text: str) -> list[list[int]]:
    """For each comment, the lines of the text on which a finding would be silenced."""
    module = Module("m.py", text)
    lines = range(1, len(module.lines) + 1)
    return [[n for n in lines if one.covers(Location("m.py", n))] for one in suppressions(module)]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a()\nb()  # graphfix: ignore\nc()\n", [2]),
        ("a(  # graphfix: ignore\n    1,\n    2,\n)\nb()\n", [1, 2, 3, 4]),
        ("a(\n    1,\n    2,\n)  # graphfix: ignore\nb()\n", [1, 2, 3, 4]),
        ("a(\n    1,  # graphfix: ignore\n    2,\n)\n", [2]),
        ("a(\n    # graphfix: ignore\n    1,\n    2,\n)\n", [3]),
        ("a(\n    1,\n    # graphfix: ignore\n    2)\n", [4]),
        ("a = 1\n# graphfix: ignore\nb = 2\nc = 3\n", [3]),
        ("# graphfix: ignore\n\n# more\nb(\n    2\n)\nc = 3\n", [4, 5, 6]),
        ("def f():\n    a()\n    # graphfix: ignore\n    b()\n    c()\n", [4]),
        ("if (a and  # graphfix: ignore\n    b\n):\n    c()\n", [1, 2, 3]),
        ("if (a and\n    b\n):  # graphfix: ignore\n    c()\n", [1, 2, 3]),
        ("# graphfix: ignore\nfor i in x:\n    c()\n", [2]),
        ("a = 1 + \\\n    2  # graphfix: ignore\nb = 1\n", [1, 2]),
        ('a = """\n# graphfix: ignore[GF1]\n"""  # graphfix: ignore\nb\n', [1, 2, 3]),
        ('a = f"""{\nb}"""  # graphfix: ignore\nb\n', [1, 2]),
        ("a = 1\n\x0cb = 2  # graphfix: ignore\nc = 3\n", [2]),
        ("a = 1\r\nb = 2  # graphfix: ignore\r\nc = 3", [2]),
        ("a = 1\rb = 2  # graphfix: ignore\rc = 3", [2]),
        ("a = 1\n# graphfix: ignore", [2]),
        ("a = 1\n# say: # graphfix: ignore-file\nb = 2", [1, 2, 3]),
        ("def f():\n  # graphfix: ignore-file[GF1]\n  a()", [1, 2, 3]),
    ],
)
def test_which_lines_a_comment_covers(text: str, lines: list[int]) -> None:
    assert covered(text) == [lines]


def test_a_place_that_touches_a_covered_line_is_covered() -> None:
    (one,) = suppressions(Module("m.py", "a(\n    b\n    .c(),  # graphfix: ignore\n    d,\n)\n"))
    assert one.covers(Location("m.py", 2, 4, 3, 8))
    assert not one.covers(Location("m.py", 4, 4, 4, 5))


def test_where_a_comment_stands_and_what_it_holds() -> None:
    text = "x = 1\n  # why  # graphfix: ignore[GF101, log-call,]  # end\n"
    (one,) = suppressions(Module("m.py", f"if 1:\n{text}"[6:]))
    line = text.splitlines()[1]
    assert line[one.column : one.end_column] == "# graphfix: ignore[GF101, log-call,]"
    assert (one.line, one.text, one.codes) == (2, line, ("GF101", "log-call"))


def test_a_string_is_no_comment_and_neither_is_another_tools() -> None:
    text = "a = '# graphfix: ignore'\nb = f'''\n# graphfix: ignore {a}\n'''\n# noqa\n# ignore\n"
    assert suppressions(Module("m.py", text)) == ()


def test_text_that_is_not_python_keeps_what_came_before() -> None:
    assert covered("a = 1  # graphfix: ignore\nb = (\n") == [[1]]
    assert covered("a = 1  # graphfix: ignore\n  b = '''\n") == [[1]]
