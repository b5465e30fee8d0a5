"""Rewrites parse whole statements of a module's top level: what stands around them is neither read nor changed."""

from __future__ import annotations

import ast

import pytest

from graphfix.rule import apply
from graphfix.source.module import Module
from graphfix.source.rewrite import replace
from graphfix.source.text import lines
from graphfix.source.window import Window, window

SOURCE = """\
# head
import torch; a = 1

@torch.compile
def f(x):
    return x
    # of f

# of g
def g(x):
    return f(x); print(x)
x = [
    1,
]; y = 2
print(y)
# foot
"""


def span(seen: Window) -> tuple[str, str]:
    shown = lines(seen.text)
    return shown[0].strip(), shown[-1].strip()


@pytest.mark.parametrize(
    ("numbers", "first", "last"),
    [
        ([0], "# head", ""),
        ([1], "# head", ""),
        ([2], "", "# of g"),
        ([3], "# of f", "return f(x); print(x)"),
        ([4], "x = [", "]; y = 2"),
        ([5], "x = [", "]; y = 2"),
        ([6], "print(y)", "# foot"),
        ([2, 3], "", "return f(x); print(x)"),
        ([0, 6], "# head", "# foot"),
    ],
)
def test_a_window_holds_the_statements_and_the_comments_around_them(numbers: list[int], first: str, last: str) -> None:
    module = Module("m.py", SOURCE)
    seen = window(module, [module.tree.body[number] for number in numbers])
    assert span(seen) == (first, last)
    assert seen.module_with(seen.tree) == SOURCE


def guarded(source: str, number: int) -> str:
    module = Module("m.py", source)
    statement = module.tree.body[number]
    return apply(source, replace(module, statement, "if a:\n    {one}\n", {"one": statement}))


def test_new_code_is_spelled_like_the_module_where_the_window_shows_nothing() -> None:
    assert guarded("def f():\n\treturn 1\nx = 1\n", 1) == "def f():\n\treturn 1\nif a:\n\tx = 1\n"
    assert guarded("def f():\r\n  return 1\r\nx = 1", 1) == "def f():\r\n  return 1\r\nif a:\r\n  x = 1"
    assert guarded("y = 0\r\nx = 1\r\n", 1) == "y = 0\r\nif a:\r\n    x = 1\r\n"


def test_form_feeds_elsewhere_do_not_matter() -> None:
    assert guarded("y = 0\n\f\nx = 1\nz = 2\n\f\n", 2) == "y = 0\n\f\nx = 1\nif a:\n    z = 2\n\f\n"


def test_lone_carriage_returns_end_lines_too() -> None:
    module = Module("m.py", "y = 0\rx = 1\nz = 2\n")
    assert window(module, module.tree.body[:1]).text == module.text


def test_parts_from_elsewhere_are_found() -> None:
    source = "def f():\n    return 'é', one(2)\n\n\nx = 1\n\n\nprint(x)\n"
    module = Module("m.py", source)
    (call,) = (node for node in ast.walk(module.tree.body[0]) if isinstance(node, ast.Call))
    edits = replace(module, module.tree.body[2], "print({call})\n", {"call": call})
    assert apply(source, edits) == source.replace("print(x)", "print(one(2))")
