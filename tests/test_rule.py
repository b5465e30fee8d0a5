"""Rewrites of several places become one."""

from __future__ import annotations

import ast

from graphfix.model import Edit
from graphfix.rule import Rewrite, Site, apply
from graphfix.source.module import Module

FIRST = Rewrite((Edit("a.py", 0, 3, "x"), Edit("a.py", 9, 9, "import")))
SECOND = Rewrite((Edit("a.py", 4, 6, "y"), Edit("a.py", 9, 9, "import")))


def test_together_keeps_the_edits_of_each_and_shared_ones_once() -> None:
    both = Site.together(SECOND, FIRST)
    assert both is not None
    assert [(edit.start, edit.text) for edit in both.edits] == [(0, "x"), (4, "y"), (9, "import")]


def test_together_gives_nothing_where_one_is_missing_or_two_overlap() -> None:
    assert Site.together(FIRST, None) is None
    assert Site.together(FIRST, Rewrite((Edit("a.py", 2, 5, "z"),))) is None
    assert Site.together(FIRST, Rewrite((Edit("a.py", 9, 9, "another import"),))) is None
    assert Site.together(FIRST, Rewrite((Edit("b.py", 2, 5, "z"),))) is not None


def test_several_expressions_of_one_line_are_rewritten_together() -> None:
    module = Module("a.py", "y = layer(u * 2, u, name)  # all\n")
    call = next(node for node in ast.walk(module.tree) if isinstance(node, ast.Call))
    site = Site(module, call)
    found = site.replace_each([(one, "int({old})", {"old": one}) for one in call.args[:2]])
    assert found is not None
    assert apply(module.text, found.edits) == "y = layer(int(u * 2), int(u), name)  # all\n"
    assert site.replace_each([(call, "f({old})", {"old": call}), (call.args[1], "v", {})]) is None


def test_what_goes_above_a_line_and_what_replaces_it_go_together() -> None:
    module = Module("a.py", "import torch\n\n\ndef f(x, n):\n    # why\n    y = x / n.item()  # here\n    return y\n")
    function = module.tree.body[1]
    assert isinstance(function, ast.FunctionDef)
    statement = function.body[0]
    assert isinstance(statement, ast.Assign)
    assert isinstance(statement.value, ast.BinOp)
    read = statement.value.right
    assert isinstance(read, ast.Call)
    assert isinstance(read.func, ast.Attribute)

    def rewritten(site: Site) -> str:
        assert isinstance(read.func, ast.Attribute)
        guard = site.before(statement, "{torch}._assert_async({n} != 0)", n=read.func.value)
        both = site.together(site.replace(read, "{n}", n=read.func.value), guard)
        assert both is not None
        return apply(module.text, both.edits)

    assert rewritten(Site(module, read)) == (
        "import torch\n\n\ndef f(x, n):\n    # why\n    torch._assert_async(n != 0)\n"
        "    y = x / n  # here\n    return y\n"
    )
    assert rewritten(Site(module, read, dual=True)) == (
        "import torch\n\n\ndef f(x, n):\n    # why\n    if torch.compiler.is_compiling():\n"
        "        torch._assert_async(n != 0)\n"
        "    y = x / (n if torch.compiler.is_compiling() else n.item())  # here\n    return y\n"
    )
