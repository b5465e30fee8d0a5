"""What `torch` stands for at a place, and where it has to be imported first."""

from __future__ import annotations

import ast

import pytest

from graphfix.rule import apply
from graphfix.source.module import Module
from graphfix.source.names import binders, import_name
from graphfix.source.rewrite import CannotRewrite, replace


def guard(source: str) -> str:
    """The source with its statement `log(1)` put under a guard that needs torch."""
    module = Module("m.py", source)
    old = next(
        node for node in ast.walk(module.tree) if isinstance(node, ast.Expr) and module.segment(node) == "log(1)"
    )
    return apply(source, replace(module, old, "if not {torch}.compiler.is_compiling():\n    {log}\n", {"log": old}))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('"""Doc."""\nlog(1)\n', '"""Doc."""\n\nimport torch\n'),
        ("#!/bin/python\n# coding: utf-8\n\nlog(1)\n", "#!/bin/python\n# coding: utf-8\n\nimport torch\n"),
        ('"""Doc."""\nfrom __future__ import annotations\nlog(1)\n', "annotations\n\nimport torch\n"),
        ("def g():\n    import torch\n\nlog(1)\n", "import torch\n\ndef g"),
        ("import x\r\nlog(1)\r\n", "import torch\r\n"),
        ("if TYPE_CHECKING:\n    import torch\nlog(1)\n", "import torch\n\nif TYPE"),
        ("import torch.nn as nn\nlog(1)\n", "import torch\n"),
    ],
)
def test_imports_torch_where_it_is_missing(source: str, expected: str) -> None:
    found = guard(source)
    assert expected in found
    assert "if not torch.compiler.is_compiling():" in found
    assert found.count("\r\n") == found.count("\n") or "\r" not in source


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import torch as th\nlog(1)\n", "th"),
        ("import torch.nn\nlog(1)\n", "torch"),
        ("try:\n    import torch\nexcept ImportError:\n    torch = None\ndef f():\n    log(1)\n", "torch"),
        ("def f():\n    import torch\n    x = 1\n    log(1)\n", "torch"),
        ("import torch\ndef f():\n    def g(torch): pass\n    log(1)\n", "torch"),
        ("if is_torch_available():\n    import torch\ndef f():\n    log(1)\n", "torch"),
        ("import torch as th\ndef f(torch):\n    log(1)\n", "th"),
    ],
)
def test_uses_the_name_torch_has(source: str, name: str) -> None:
    found = guard(source)
    assert f"if not {name}.compiler.is_compiling():" in found
    assert found.count("import torch") == source.count("import torch")


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ndef f(torch):\n    log(1)\n",
        "import torch\ndef f():\n    torch = 1\n    log(1)\n",
        "import torch\ndef f(torch):\n    def g():\n        log(1)\n",
        "import torch\ndef f():\n    for torch in x:\n        log(1)\n",
        "def f():\n    if x:\n        import torch\n    log(1)\n",
        "def f():\n    log(1)\n    import torch\n",
        "torch = lazy('torch')\nlog(1)\n",
        "from mine import torch\nlog(1)\n",
    ],
)
def test_refuses_where_torch_is_something_else(source: str) -> None:
    with pytest.raises(CannotRewrite, match="torch to something"):
        guard(source)


@pytest.mark.parametrize("around", ["lambda torch: f(a)", "[f(a) for torch in b]", "lambda: [f(a) for torch in b]"])
def test_a_lambda_or_comprehension_may_take_the_name(around: str) -> None:
    module = Module("m.py", f"import torch\nx = {around}\n")
    call = next(node for node in ast.walk(module.tree) if isinstance(node, ast.Call))
    with pytest.raises(CannotRewrite, match="torch to something"):
        import_name(module, call)
    assert import_name(module, module.tree.body[1]) == "torch"


@pytest.mark.parametrize(
    ("body", "bound"),
    [
        ("x = 1", True),
        ("(x := 1)", True),
        ("[x := i for i in y]", True),
        ("for x, y in z: pass", True),
        ("with a as (x, y): pass", True),
        ("import x.y", True),
        ("from y import z as x", True),
        ("def x(): pass", True),
        ("class x: pass", True),
        ("try: pass\nexcept E as x: pass", True),
        ("match y:\n    case [1, *x]: pass", True),
        ("match y:\n    case {1: 2, **x}: pass", True),
        ("global x", True),
        ("del x", True),
        ("x.y = 1", False),
        ("x[0] = 1", False),
        ("f(x=1)", False),
        ("import y.x", False),
        ("[x for x in y]", False),
        ("lambda x: x", False),
        ("def g(x):\n    x = 1", False),
        ("class A:\n    x = 1", False),
    ],
)
def test_what_binds_a_name(body: str, bound: bool) -> None:
    function = ast.parse("def f():\n" + "".join(f"    {line}\n" for line in body.split("\n"))).body[0]
    assert any(binders(function, "x")) is bound


def test_other_modules_are_imported_as_torch_is() -> None:
    source = "import torch\n\n\ndef f():\n    log(1)\n"
    module = Module("m.py", source)
    old = next(node for node in ast.walk(module.tree) if isinstance(node, ast.Expr))
    edits = replace(module, old, "with {contextlib}.nullcontext({torch}):\n    {log}\n", {"log": old})
    found = apply(source, edits)
    assert found.startswith("import contextlib\n\nimport torch\n")
    assert found.endswith("    with contextlib.nullcontext(torch):\n        log(1)\n")
