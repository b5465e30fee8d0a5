"""From places in the text to nodes and back."""

from __future__ import annotations

import ast

import pytest

from graphfix.errors import SourceError
from graphfix.model import Location
from graphfix.source.module import Module, guilty_part


def at(source: str, line: int, text: str | None = None, end_line: int | None = -1) -> str | None:
    """The node found for `text` on a line (columns counted in bytes as Dynamo does), as code; None without one."""
    module = Module("m.py", source)
    if text is None:
        found = module.node_at(line, None, None, None)
    else:
        data = module.line(line).encode()
        start = data.index(text.encode())
        ends = line if end_line == -1 else end_line
        found = module.node_at(line, start, ends, start + len(text.encode()))
    return None if found is None else ast.unparse(found)


@pytest.mark.parametrize(
    "text",
    ["a.b.max().item()", "a.b.max()", "a.b", "a", "f(a.b.max().item(), 1)", "f(a.b.max().item(), 1) + c"],
)
def test_an_exact_span(text: str) -> None:
    source = "def g(a, c):\n    return f(a.b.max().item(), 1) + c\n"
    assert at(source, 2, text) == text
    assert at(source, 2, text, end_line=None) == text


def test_a_chain_over_several_lines_is_known_by_its_end() -> None:
    source = "def g(a):\n    return (\n        a.b\n        .max()\n        .item()\n    )\n"
    module = Module("m.py", source)
    whole = module.node_at(3, 8, 5, 15)
    from_its_last_line = module.node_at(5, 8, 5, 15)
    assert whole is not None
    assert whole is from_its_last_line
    assert ast.unparse(whole) == "a.b.max().item()"
    assert module.location(whole) == Location("m.py", 3, 8, 5, 15)
    assert module.node_at(5, 8, 5, 14) is None


def test_columns_are_bytes_and_locations_characters() -> None:
    source = "é = '長さ'; 名 = é.item()\n"
    module = Module("m.py", source)
    assert at(source, 1, "é.item()") == "é.item()"
    call = next(node for node in ast.walk(module.tree) if isinstance(node, ast.Call))
    place = module.location(call)
    assert module.lines[0][place.column : place.end_column] == "é.item()"
    assert module.segment(call) == "é.item()"
    assert call.col_offset != place.column


@pytest.mark.parametrize(
    ("source", "line", "expected"),
    [
        ("x = 1\ny = x.item()\n", 2, "y = x.item()"),
        ("if x: y()\n", 1, "if x:\n    y()"),
        ("y(a,\n  b)\n", 2, "y(a, b)"),
        ("if (a and\n    b.any()):\n    c()\n", 2, "if a and b.any():\n    c()"),
        ("a(); b()\n", 1, None),
        ("def f():\n\n    a()\n", 2, "def f():\n    a()"),
        ("def f():\n    a()\n\n    b()\n", 3, None),
        ("a()\n", 7, None),
        ("match x:\n    case 1:\n        a()\n", 3, "a()"),
    ],
)
def test_without_columns_the_statement_of_the_line(source: str, line: int, expected: str | None) -> None:
    assert at(source, line) == expected


@pytest.mark.parametrize(
    ("source", "line", "text"),
    [
        ("@d(a.item())\ndef f(): pass\n", 1, "a.item()"),
        ("f = lambda a: a.item()\n", 1, "a.item()"),
        ("b = [i.item() for i in x.tolist() if i.any()]\n", 1, "x.tolist()"),
        ("b = [i.item() for i in x.tolist() if i.any()]\n", 1, "i.any()"),
        ("\tx = (yield a)\n".lstrip("\t"), 1, "yield a"),
    ],
)
def test_nodes_in_odd_places(source: str, line: int, text: str) -> None:
    assert at(source, line, text) in (text, f"({text})")


NESTED = """\
class A:
    def f(self):
        x = lambda: (
            1)
        def g():
            pass
        class B:
            y = 2
        return g

    @property
    def h(self): return 3

z = 4
"""


@pytest.mark.parametrize(
    ("line", "name"),
    [(1, "A"), (2, "A.f"), (4, "A.f"), (6, "A.f.g"), (8, "A.f.B"), (9, "A.f"), (11, "A.h"), (12, "A.h"), (14, None)],
)
def test_qualname(line: int, name: str | None) -> None:
    assert Module("m.py", NESTED).qualname(line) == (name or "<module>")


def find(module: Module, code: str) -> ast.expr:
    return next(node for node in ast.walk(module.tree) if isinstance(node, ast.expr) and ast.unparse(node) == code)


def test_enclosing_stays_in_its_function() -> None:
    module = Module("m.py", "if a:\n    if b:\n        c()\n    def f():\n        d()\n    g = lambda: e()\n")
    inner = module.enclosing(find(module, "c"), ast.If)
    assert inner is not None
    assert ast.unparse(inner.test) == "b"
    assert module.enclosing(find(module, "d"), ast.If) is None
    assert module.enclosing(find(module, "e"), ast.If) is None
    assert module.enclosing(find(module, "d"), ast.FunctionDef) is not None


def test_function_of_leaves_out_decorators_and_defaults() -> None:
    module = Module("m.py", "def f():\n    @d\n    def g(a=e, *, b: h = i) -> j:\n        return k\n")
    owners = {name: module.function_of(find(module, name)) for name in "dehijk"}
    assert {name: owner.name if owner else None for name, owner in owners.items()} == dict.fromkeys("dehij", "f") | {
        "k": "g"
    }
    assert module.function_of(module.tree.body[0]) is None


def test_form_feeds_and_carriage_returns_count_as_in_python() -> None:
    module = Module("m.py", "a = 1\n\f\nb = 'x\\\x0cy'\r\nc = 3\r\n")
    assert module.line(4) == "c = 3"
    assert [node.lineno for node in module.tree.body] == [1, 3, 4]
    assert module.segment(module.tree.body[2]) == "c = 3"
    assert module.line(0) == module.line(99) == ""


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("if a: b", "a"),
        ("while a: b", "a"),
        ("assert a, b", "a"),
        ("for i in a: b", "a"),
        ("a()", "a()"),
        ("x = a", "x = a"),
    ],
)
def test_guilty_part(source: str, part: str) -> None:
    assert ast.unparse(guilty_part(ast.parse(source).body[0])) == part


@pytest.mark.parametrize("source", ["print 'x'\n", "def f(:\n", "x = \0\n", "(" * 500])
def test_what_is_not_python_names_the_file(source: str) -> None:
    with pytest.raises(SourceError, match=r"^m\.py(:\d+)? is not Python that this interpreter reads: "):
        _ = Module("m.py", source).tree
